// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the kinds of input device say of themselves (VIRTIO 1.4 5.8.5): as Linux's drivers know such
 * devices, and as QEMU's virtio-keyboard, -mouse, -tablet and -multitouch do it.
 */
#include <linux/input-event-codes.h>
#include <string.h>

#include "core/base/xmath.h"
#include "virtio/input/input.h"
#include "virtio/spec.h"

#define RANGES_MAX  8u
#define BUS_VIRTUAL 6u /* of linux/input.h */

/* first to last, both included; of type EV_SYN, which none asks for: the list's end */
struct codes {
    uint16_t type, first, last;
};

static const struct kind {
    const char *name;
    uint16_t product;
    struct codes codes[RANGES_MAX];
    bool repeats; /* Linux repeats the keys of a device that has EV_REP */
    bool direct;  /* what it touches is the screen */
} kinds[INPUT_KINDS] = {
    [INPUT_KEYBOARD] = {.name = "Minivet keyboard",
                        .product = 1,
                        .repeats = true,
                        .codes = {{EV_KEY, KEY_ESC, KEY_KPDOT},
                                  {EV_KEY, KEY_ZENKAKUHANKAKU, KEY_WAKEUP},
                                  {EV_KEY, KEY_MAIL, KEY_FORWARD},
                                  {EV_KEY, KEY_NEXTSONG, KEY_STOPCD},
                                  {EV_KEY, KEY_HOMEPAGE, KEY_REFRESH},
                                  {EV_KEY, KEY_F13, KEY_F24},
                                  {EV_LED, LED_NUML, LED_SCROLLL}}},
    [INPUT_MOUSE] = {.name = "Minivet mouse",
                     .product = 2,
                     .codes = {{EV_KEY, BTN_LEFT, BTN_EXTRA},
                               {EV_REL, REL_X, REL_Y},
                               {EV_REL, REL_HWHEEL, REL_HWHEEL},
                               {EV_REL, REL_WHEEL, REL_WHEEL}}},
    [INPUT_TABLET] = {.name = "Minivet tablet",
                      .product = 3,
                      .codes = {{EV_KEY, BTN_LEFT, BTN_EXTRA},
                                {EV_REL, REL_HWHEEL, REL_HWHEEL},
                                {EV_REL, REL_WHEEL, REL_WHEEL},
                                {EV_ABS, ABS_X, ABS_Y}}},
    [INPUT_TOUCH] = {.name = "Minivet touch screen",
                     .product = 4,
                     .direct = true,
                     .codes = {{EV_KEY, BTN_TOUCH, BTN_TOUCH},
                               {EV_ABS, ABS_MT_SLOT, ABS_MT_SLOT},
                               {EV_ABS, ABS_MT_POSITION_X, ABS_MT_POSITION_Y},
                               {EV_ABS, ABS_MT_TRACKING_ID, ABS_MT_TRACKING_ID}}},
};

static bool has(const struct kind *k, unsigned type, unsigned code)
{
    for (const struct codes *c = k->codes; c->type != EV_SYN; c++)
        if (c->type == type && code >= c->first && code <= c->last)
            return true;
    return false;
}

/* The least number of bytes that has all bits. Of EV_REP it is one, with no bit, as in QEMU. */
static unsigned type_bits(const struct kind *k, unsigned type, uint8_t *data)
{
    unsigned bytes = type == EV_REP && k->repeats;
    for (unsigned code = 0; type != EV_SYN && code < VIRTIO_INPUT_DATA_BYTES * 8; code++)
        if (has(k, type, code)) {
            data[code / 8] |= (uint8_t)(1u << code % 8);
            bytes = code / 8 + 1;
        }
    return bytes;
}

static unsigned properties(const struct kind *k, uint8_t *data)
{
    data[INPUT_PROP_DIRECT / 8] = k->direct ? 1u << INPUT_PROP_DIRECT % 8 : 0;
    return k->direct;
}

/* struct virtio_input_absinfo: min, max, fuzz, flat, res */
static unsigned axis(const struct kind *k, unsigned code, uint8_t *data)
{
    uint32_t max = code == ABS_MT_SLOT          ? INPUT_TOUCHES - 1
                   : code == ABS_MT_TRACKING_ID ? INPUT_TRACKING_MAX
                                                : INPUT_AXIS_MAX;
    if (!has(k, EV_ABS, code))
        return 0;
    le32_put(data + 4, max);
    return 20;
}

/* struct virtio_input_devids: bustype, vendor, product, version */
static unsigned ids(const struct kind *k, uint8_t *data)
{
    const uint16_t fields[] = {BUS_VIRTUAL, VIRTIO_PCI_VENDOR_ID, k->product, 1};
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
        le16_put(data + 2 * (size_t)i, fields[i]);
    return sizeof(fields);
}

static unsigned text(const char *from, uint8_t *data)
{
    size_t len = min_u64(strlen(from), VIRTIO_INPUT_DATA_BYTES);
    memcpy(data, from, len);
    return (unsigned)len;
}

unsigned virtio_input_query(enum input_kind kind, const char *serial, uint8_t select,
                            uint8_t subsel, uint8_t data[VIRTIO_INPUT_DATA_BYTES])
{
    const struct kind *k = &kinds[kind];
    memset(data, 0, VIRTIO_INPUT_DATA_BYTES);
    if (select == VIRTIO_INPUT_CFG_EV_BITS)
        return type_bits(k, subsel, data);
    if (select == VIRTIO_INPUT_CFG_ABS_INFO)
        return axis(k, subsel, data);
    if (subsel != 0)
        return 0;
    switch (select) {
    case VIRTIO_INPUT_CFG_ID_NAME:
        return text(k->name, data);
    case VIRTIO_INPUT_CFG_ID_SERIAL:
        return text(serial, data);
    case VIRTIO_INPUT_CFG_ID_DEVIDS:
        return ids(k, data);
    case VIRTIO_INPUT_CFG_PROP_BITS:
        return properties(k, data);
    default:
        return 0;
    }
}
