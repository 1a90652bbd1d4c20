// SPDX-License-Identifier: BSD-2-Clause
/*
 * What MSI-X promises of one virtio function (PCI 3.0 6.8.3.4): while a vector or the function is
 * masked no message is sent, and the vector's pending bit is set in place of it; when nothing holds
 * the vector back any more, exactly one message is sent if it was pending.
 */
#ifndef MINIVET_TESTS_FUZZ_MSIX_JUDGE_H
#define MINIVET_TESTS_FUZZ_MSIX_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/base/device.h"

struct fake_msi;
struct virtio_pci;

struct msix_judge {
    struct virtio_pci *pci;
    struct fake_msi *msi;
    struct virtio_host host; /* the transport, as the device knows it */

    /* When the step began. */
    unsigned sent;
    bool enabled;
    uint32_t status;
    uint64_t pending, held; /* by vector */

    /* In this step: messages that the device's own interrupts explain; pending bits that came. */
    unsigned heard, put_off;
};

/* From now on the device's interrupts pass here. j stays where it is as long as the device. */
void msix_judge_init(struct msix_judge *j, struct virtio_pci *pci, struct fake_msi *msi);

/* Around a step of the guest's. single: it makes one access at most. */
void msix_judge_begin(struct msix_judge *j);
void msix_judge_end(struct msix_judge *j, bool single);

#endif
