// SPDX-License-Identifier: BSD-2-Clause
/*
 * Names for a second copy of riscv64's interrupt controllers, which calls the test's KVM in the
 * place of kvm_ioctl(): unit/kvm_aia.c tests it on every host. Included before all else.
 */
#define kvm_ioctl                       aia_ioctl
#define kvm_vcpu_open                   aia_vcpu_open
#define kvm_arch                        aia_arch
#define kvm_arch_without_virtualization aia_arch_without_virtualization
#define kvm_arch_virtualization         aia_arch_virtualization
#define kvm_arch_vm_type                aia_arch_vm_type
#define kvm_arch_vm_init                aia_arch_vm_init
#define kvm_arch_route_lines            aia_arch_route_lines
#define kvm_arch_is_msi                 aia_arch_is_msi
#define kvm_routing_build               aia_routing_build
#define kvm_irq_init                    aia_irq_init
#define kvm_irq_fini                    aia_irq_fini
#define kvm_irq_line                    aia_irq_line
#define kvm_irq_line_release            aia_irq_line_release
#define kvm_msi_sink                    aia_msi_sink
#define riscv64_reg_get                 aia_reg_get
#define riscv64_reg_set                 aia_reg_set
