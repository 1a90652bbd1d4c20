// SPDX-License-Identifier: BSD-2-Clause
/* Carries out the steps of a slip: see virtio_strict_cases.h. */
#include "core/ports/bus.h"
#include "tests/harness/test.h"
#include "tests/unit/virtio_strict_cases.h"
#include "virtio/spec.h"

static uint64_t table_gpa;

static uint64_t address(struct rig *rig, uint64_t gpa)
{
    return gpa == 0 ? vdrv_alloc(&rig->drv, LEN, 16) : gpa == TABLE ? table_gpa : gpa;
}

static void split_table(struct rig *rig, unsigned flags, unsigned next)
{
    table_gpa = vdrv_alloc(&rig->drv, 3ull * VIRTQ_DESC_BYTES, 16);
    uint8_t *table = vdrv_ptr(&rig->drv, table_gpa, 3ull * VIRTQ_DESC_BYTES);
    vdrv_desc_put(table, 0, address(rig, 0), LEN, flags, next);
    vdrv_desc_put(table, 2, address(rig, 0), LEN, 0, 0);
}

static void step_in_ring(struct rig *rig, const struct strict_step *s)
{
    struct vdrv_queue *q = &rig->drv.q[0];
    switch (s->op) {
    case AVAIL_FLAGS:
        vdrv_avail_flags(q, (uint16_t)s->a);
        break;
    case AVAIL_AHEAD:
        q->ring.next_avail += (uint32_t)s->a;
        break;
    case AVAIL:
        vdrv_avail_put(q, (uint16_t)s->a);
        break;
    case DESC:
        vdrv_desc_put(q->desc, (unsigned)s->a, address(rig, s->b), (uint32_t)s->c, (unsigned)s->d,
                      (unsigned)s->e);
        break;
    case PDESC:
        vdrv_pdesc_put(q, (unsigned)s->a, address(rig, s->b), (uint32_t)s->c, (uint16_t)s->e,
                       (uint16_t)(s->d | vdrv_pavail_flags(true)));
        break;
    case SPLIT_TABLE:
        split_table(rig, (unsigned)s->a, (unsigned)s->b);
        break;
    case EVENT:
        vdrv_driver_event(q, (uint16_t)s->a, (uint16_t)s->b);
        break;
    case KICK:
        vdrv_kick(q);
        rig_step(rig);
        break;
    default:
        cr_assert(false, "step %d", s->op);
    }
}

static void step_in_set_up(struct rig *rig, const struct strict_step *s)
{
    struct vdrv *d = &rig->drv;
    switch (s->op) {
    case TO_DRIVER:
        vdrv_reset(d);
        vdrv_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE);
        vdrv_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
        break;
    case NEGOTIATE:
        cr_assert(vdrv_negotiate(d, s->a));
        break;
    case SET_UP:
        cr_assert(vdrv_negotiate(d, 0));
        vdrv_queue_set_up(d, 0, STRICT_SIZE);
        break;
    case START:
        cr_assert(vdrv_start(d, s->a, 1, STRICT_SIZE));
        break;
    case START_ALL:
        cr_assert(vdrv_start(d, s->a, rig->dev->cfg.queue_count, STRICT_SIZE));
        break;
    case ALLOC:
        vdrv_queue_alloc(d, 0, STRICT_SIZE);
        break;
    case READY:
        vdrv_queue_write(d, 0);
        break;
    case DRIVER_OK:
        vdrv_driver_ok(d);
        break;
    default:
        step_in_ring(rig, s);
    }
}

static void step(struct rig *rig, const struct strict_step *s)
{
    struct vdrv *d = &rig->drv;
    uint64_t value;
    switch (s->op) {
    case RESET:
        vdrv_reset(d);
        break;
    case STATUS:
        vdrv_set_status(d, (uint32_t)s->a);
        break;
    case STATUS_MORE:
        vdrv_set_status(d, vdrv_status(d) | (uint32_t)s->a);
        break;
    case ACCEPT:
        vdrv_accept(d, (uint32_t)s->a, (uint32_t)s->b);
        break;
    case GET:
        vdrv_get(d, s->a);
        break;
    case SET:
        vdrv_set(d, s->a, (uint32_t)s->b);
        break;
    case COMMON:
        bus_write(rig->bus, d->pci.common + s->a, (unsigned)s->b, s->c);
        break;
    case CONFIG:
        bus_read(rig->bus, vdrv_config_gpa(d) + s->a, (unsigned)s->b, &value);
        break;
    case NOTIFY:
        vdrv_notify(&d->q[0]);
        break;
    default:
        step_in_set_up(rig, s);
    }
}

void strict_slip(struct rig *rig, const struct strict_case *c)
{
    for (unsigned i = 0; i < ARRAY_SIZE(c->steps) && c->steps[i].op != NO_STEP; i++) {
        if (c->steps[i].op == REQUEST) {
            struct blkreq req = c->request;
            cr_assert(vdrv_start(&rig->drv, c->steps[i].a, rig->dev->cfg.queue_count, 64));
            cr_assert(blkreq_send(rig, &req));
            rig_step(rig);
        } else {
            step(rig, &c->steps[i]);
        }
    }
    if (c->slip != NULL)
        c->slip(rig);
}
