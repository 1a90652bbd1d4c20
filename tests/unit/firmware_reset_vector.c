// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/x86/reset_vector.h"

#include "firmware/x86/x86_layout.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

/* Runs the few instructions that may stand there; returns the port that was written. */
static int interpret(const uint8_t *code, uint8_t *value)
{
    unsigned ip = 0, dx = 0, al = 0;
    for (int steps = 0; steps < 16 && ip < X86_RESET_VECTOR_BYTES; steps++) {
        switch (code[ip]) {
        case 0xfa: /* cli */
            ip += 1;
            break;
        case 0xba: /* mov dx, imm16 */
            dx = code[ip + 1] | (unsigned)code[ip + 2] << 8;
            ip += 3;
            break;
        case 0xb0: /* mov al, imm8 */
            al = code[ip + 1];
            ip += 2;
            break;
        case 0xee: /* out dx, al */
            *value = (uint8_t)al;
            return (int)dx;
        default:
            return -1;
        }
    }
    return -1;
}

Test(firmware_reset_vector, a_restart_through_the_bios_is_a_reset)
{
    struct gmem *g = fx_memory(32 * MIB);
    uint8_t value = 0;

    cr_assert_eq(reset_vector_write(g), 0);
    const uint8_t *code = gmem_ptr(g, 0xffff0, 16, 1);
    cr_expect_eq(interpret(code, &value), X86_RESET_PORT);
    cr_expect_eq(value, X86_RESET_VALUE);
    gmem_destroy(g);
}
