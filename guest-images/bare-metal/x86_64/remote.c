// SPDX-License-Identifier: BSD-2-Clause
/* Makes the accesses that a host asks for (remote.h), and counts interrupts. */
#include "remote.h"

#include "rt.h"

static struct remote *const remote = (struct remote *)REMOTE_GPA;

static void on_irq(unsigned vector)
{
    remote->interrupts[vector]++;
}

static uint64_t read(uint64_t gpa, unsigned width)
{
    switch (width) {
    case 1:
        return mmio_read8(gpa);
    case 2:
        return mmio_read16(gpa);
    case 4:
        return mmio_read32(gpa);
    default:
        return mmio_read64(gpa);
    }
}

static void write(uint64_t gpa, unsigned width, uint64_t value)
{
    switch (width) {
    case 1:
        mmio_write8(gpa, (uint8_t)value);
        break;
    case 2:
        mmio_write16(gpa, (uint16_t)value);
        break;
    case 4:
        mmio_write32(gpa, (uint32_t)value);
        break;
    default:
        mmio_write64(gpa, value);
        break;
    }
}

static uint32_t in(uint16_t port, unsigned width)
{
    return width == 1 ? inb(port) : width == 2 ? inw(port) : inl(port);
}

static void out(uint16_t port, unsigned width, uint32_t value)
{
    if (width == 1)
        outb(port, (uint8_t)value);
    else if (width == 2)
        outw(port, (uint16_t)value);
    else
        outl(port, value);
}

static void obey(void)
{
    switch (remote->op) {
    case REMOTE_READ:
        remote->value = read(remote->addr, remote->width);
        break;
    case REMOTE_WRITE:
        write(remote->addr, remote->width, remote->value);
        break;
    case REMOTE_IN:
        remote->value = in((uint16_t)remote->addr, remote->width);
        break;
    default:
        out((uint16_t)remote->addr, remote->width, (uint32_t)remote->value);
        break;
    }
}

int main(void)
{
    for (unsigned v = REMOTE_MSI_VECTOR; v <= REMOTE_LINE_VECTOR; v++)
        rt_irq_handler(v, on_irq);
    rt_irq_init();
    rt_irq_route(REMOTE_GSI, REMOTE_LINE_VECTOR);
    for (;;) {
        for (unsigned looks = 1; remote->asked == remote->done; looks++) {
            if (looks % REMOTE_IDLE_LOOKS == 0)
                outb(REMOTE_IDLE_PORT, 0);
            else
                pause();
        }
        obey();
        remote->done = remote->asked; /* x86 keeps the order of stores */
    }
}
