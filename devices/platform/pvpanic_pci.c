// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/pvpanic_pci.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "devices/platform/byte_device.h"
#include "pci/function.h"

#define CLASS_SYSTEM_OTHER 0x088000u
#define BAR_BYTES          16 /* the smallest that memory has */

struct pvpanic_pci {
    struct pci_func func;
    struct byte_device *reg;
};

int pvpanic_pci_create(struct pvpanic_pci **out, const struct pvpanic_pci_config *config)
{
    struct pvpanic_pci *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return fail(-ENOMEM, "pvpanic");
    int r = byte_device_create(&p->reg, &pvpanic_kind,
                               &(struct byte_device_config){.power = config->power});
    if (r == 0)
        r = pci_func_init(&p->func, &(struct pci_func_config){
                                        .name = "pvpanic",
                                        .vendor = PVPANIC_PCI_VENDOR_ID,
                                        .device = PVPANIC_PCI_DEVICE_ID,
                                        .subsystem_vendor = PVPANIC_PCI_VENDOR_ID,
                                        .subsystem = PVPANIC_PCI_DEVICE_ID,
                                        .revision = 1,
                                        .class_code = CLASS_SYSTEM_OTHER,
                                        .mmio = config->mmio,
                                    });
    if (r < 0) {
        pvpanic_pci_destroy(p);
        return r;
    }
    pci_func_add_bar(&p->func, 0,
                     &(struct pci_bar_config){
                         .space = BUS_MMIO,
                         .bytes = BAR_BYTES,
                         .name = "pvpanic",
                         .widths = BUS_W1,
                         .ops = &byte_device_ops,
                         .dev = p->reg,
                     });
    *out = p;
    return 0;
}

void pvpanic_pci_destroy(struct pvpanic_pci *p)
{
    if (p == NULL)
        return;
    pci_func_fini(&p->func);
    byte_device_destroy(p->reg);
    free(p);
}

struct pci_function *pvpanic_pci_function(struct pvpanic_pci *p)
{
    return &p->func.port;
}
