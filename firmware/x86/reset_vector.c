// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/x86/reset_vector.h"

#include <errno.h>
#include <stdint.h>

#include "core/base/fail.h"
#include "core/memory/gmem.h"
#include "firmware/x86/x86_layout.h"

int reset_vector_write(const struct gmem *g)
{
    static const uint8_t code[] = {
        0xfa, /* cli */
        0xba,
        X86_RESET_PORT & 0xff,
        X86_RESET_PORT >> 8, /* mov dx, X86_RESET_PORT */
        0xb0,
        X86_RESET_VALUE, /* mov al, X86_RESET_VALUE */
        0xee,            /* out dx, al */
        0xf4,            /* hlt */
        0xeb,
        0xfd, /* jmp to the hlt */
    };
    _Static_assert(sizeof(code) <= X86_RESET_VECTOR_BYTES, "it fits before the first MiB ends");
    if (gmem_write(g, X86_RESET_VECTOR_GPA, code, sizeof(code)) < 0)
        return fail_msg(-ENOMEM, "memory is too small: it ends below the first MiB");
    return 0;
}
