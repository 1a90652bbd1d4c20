// SPDX-License-Identifier: BSD-2-Clause
/* Port accesses of each width, single and repeated. */
#include "rt.h"

static const uint8_t sent[12] = {0x10, 0x21, 0x32, 0x43, 0x54, 0x65,
                                 0x76, 0x87, 0x98, 0xa9, 0xba, 0xcb};

int main(void)
{
    outb(PORT_LATCH, 0xa5);
    CHECK(inb(PORT_LATCH) == 0xa5);
    outw(PORT_LATCH, 0xbeef);
    CHECK(inw(PORT_LATCH) == 0xbeef);
    outl(PORT_LATCH, 0xdeadc0de);
    CHECK(inl(PORT_LATCH) == 0xdeadc0de);
    CHECK(inb(PORT_LATCH + 3) == 0xde);
    CHECK(inw(PORT_LATCH + 1) == 0xadc0);

    /* The latch keeps the last element; a repeated read gives it again and again. */
    outsb(PORT_LATCH, sent, sizeof(sent));
    CHECK(inb(PORT_LATCH) == 0xcb);
    outsw(PORT_LATCH, sent, sizeof(sent) / 2);
    CHECK(inw(PORT_LATCH) == 0xcbba);
    outsl(PORT_LATCH, sent, sizeof(sent) / 4);
    CHECK(inl(PORT_LATCH) == 0xcbbaa998);
    uint32_t got[5] = {0};
    insl(PORT_LATCH, got, 4);
    CHECK(got[0] == 0xcbbaa998 && got[3] == 0xcbbaa998 && got[4] == 0);
    uint8_t bytes[6] = {0};
    insb(PORT_LATCH, bytes, 5);
    CHECK(bytes[0] == 0x98 && bytes[4] == 0x98 && bytes[5] == 0);

    CHECK(inb(0x999) == 0xff && inl(0x999) == 0xffffffff); /* nobody there */
    return 0;
}
