// SPDX-License-Identifier: BSD-2-Clause
/*
 * What VIRTIO 1.4 requires of drivers of any device, as far as a device can see it: name, section,
 * and the requirement in our words. Each type's own rules are in its folder, and numbered from
 * STRICT_RULES on. docs/strict.md lists all of them.
 */
#ifndef MINIVET_VIRTIO_STRICT_RULES_H
#define MINIVET_VIRTIO_STRICT_RULES_H

/* clang-format off */
#define STRICT_RULE_LIST(X) \
    /* status, features, reset */ \
    X(STATUS_CLEARED,       "2.1.1",     "a status bit is cleared by a reset alone") \
    X(STATUS_UNKNOWN,       "2.1",       "the driver sets the status bits that are its own") \
    X(STATUS_ORDER,         "3.1.1",     "initialisation takes its steps in order") \
    X(STATUS_FAILED,        "2.1.1",     "after FAILED the device is reset before another attempt") \
    X(STATUS_NEEDS_RESET,   "2.1.1",     "a device that needs a reset is not relied on") \
    X(INIT_NO_RESET,        "3.1.1",     "initialisation begins with a reset") \
    X(RESET_UNREAD,         "2.4.2",     "a reset is complete when the status has been read as 0") \
    X(FEATURES_OK_UNREAD,   "3.1.1",     "FEATURES_OK is read back before the next step") \
    X(FEATURE_UNOFFERED,    "2.2.1",     "a feature that is not offered is not accepted") \
    X(FEATURE_EARLY,        "3.1.1",     "features are accepted after DRIVER is set") \
    X(FEATURE_LATE,         "3.1.1",     "no feature is accepted after FEATURES_OK") \
    X(VERSION_1,            "6.1",       "VERSION_1 is accepted where it is offered") \
    /* configuration space */ \
    X(CONFIG_OPTIONAL,      "2.5.1",     "an optional field is accessed if its feature is offered") \
    X(CONFIG_WRITE_EARLY,   "3.1.1",     "configuration is not written before FEATURES_OK") \
    /* queues */ \
    X(QUEUE_NONE,           "2.6",       "a queue that the device does not have is not set up") \
    X(QUEUE_EARLY,          "3.1.1",     "queues are set up after FEATURES_OK") \
    X(QUEUE_LATE,           "3.1.1",     "queues are set up before DRIVER_OK") \
    X(QUEUE_RESET_FEATURE,  "2.6.1",     "a queue is reset alone with RING_RESET only") \
    X(QUEUE_RESET_UNREAD,   "2.6.1.1.2", "the driver verifies that the queue has been reset") \
    X(NOTIFY_EARLY,         "3.1.1",     "no notification is sent before DRIVER_OK") \
    X(NOTIFY_QUEUE,         "2.9",       "a notification names a queue that is in use") \
    X(NOTIFY_DATA,          "2.9",       "notification data say where the next buffer goes") \
    /* virtio-mmio */ \
    X(MMIO_DISCOVERY,       "4.2.3.1.1", "MagicValue, Version and DeviceID are read first") \
    X(MMIO_WIDTH,           "4.2.2.2",   "registers are accessed by aligned 32 bits") \
    X(MMIO_NOT_THERE,       "4.2.2.2",   "only what is described is accessed") \
    X(MMIO_READ_ONLY,       "4.2.2.2",   "a read-only register is not written") \
    X(MMIO_WRITE_ONLY,      "4.2.2.2",   "a write-only register is not read") \
    X(MMIO_SELECTOR,        "4.2.2.2",   "a feature selector is written before its word is accessed") \
    X(MMIO_QUEUE_SIZE,      "4.2.2.2",   "QueueSize is not above QueueSizeMax") \
    X(MMIO_QUEUE_BUSY,      "4.2.2.2",   "a queue's registers are left alone while it is ready") \
    X(MMIO_QUEUE_STOP,      "4.2.2.2",   "QueueReady is read back after it was written 0") \
    X(MMIO_ACK,             "4.2.2.2",   "InterruptACK gets no undefined bits") \
    X(MMIO_CONFIG_WIDTH,    "4.2.2.2",   "configuration fields are accessed by their own width") \
    /* virtio-pci */ \
    X(PCI_WIDTH,            "4.1.3.1",   "fields are accessed by their own width, 64 bits by halves") \
    X(PCI_READ_ONLY,        "4.1.4.3.2", "a read-only field is not written") \
    X(PCI_QUEUE_SIZE,       "4.1.4.3.2", "queue_size is not 0, and a power of 2 but with RING_PACKED") \
    X(PCI_QUEUE_SIZE_MAX,   "4.1.5.1.3", "queue_size is only made smaller") \
    X(PCI_QUEUE_BUSY,       "4.1.4.3.2", "a queue's fields are written before queue_enable") \
    X(PCI_QUEUE_DISABLE,    "4.1.4.3.2", "queue_enable is not written 0") \
    X(PCI_VECTOR,           "4.1.5.1.2.2", "vectors are inside the MSI-X table") \
    X(PCI_VECTOR_UNREAD,    "4.1.5.1.2.2", "a vector is read back after it was written") \
    X(PCI_NOTIFY_WIDTH,     "4.1.5.2",   "a notification is 16 bits, with NOTIFICATION_DATA 32") \
    X(PCI_WINDOW,           "4.1.4.9.2", "the access window is aligned and inside a structure") \
    /* split rings */ \
    X(SPLIT_SIZE,           "2.7",       "the queue's size is a power of 2, at most 32768") \
    X(SPLIT_ALIGN,          "2.7.1",     "the parts of a queue are aligned") \
    X(SPLIT_MEMORY,         "2.7",       "the parts of a queue are in guest memory") \
    X(SPLIT_USED_FLAGS,     "2.7.10.1",  "the used ring's flags are 0 at first") \
    X(SPLIT_USED_IDX,       "2.7.8",     "the used ring's index is 0 at first") \
    X(SPLIT_AVAIL_FLAGS,    "2.7.7.1",   "the available ring's flags are 0 or 1, with EVENT_IDX 0") \
    X(SPLIT_IDX_BACK,       "2.7.6.1",   "the available index is never decremented") \
    X(SPLIT_IDX_AHEAD,      "2.7.13",    "no more buffers are available than the queue's size") \
    X(SPLIT_HEAD,           "2.7.6",     "the available ring names descriptors of the table") \
    X(SPLIT_BUSY,           "2.7.13.1",  "a buffer is placed into free descriptors") \
    X(SPLIT_NEXT,           "2.7.5",     "next names a descriptor of the table") \
    X(SPLIT_FLAGS,          "2.7.5",     "a descriptor has no unknown flags") \
    X(SPLIT_ADDRESS,        "2.7.5",     "a buffer is in guest memory") \
    X(SPLIT_ORDER,          "2.7.4.2",   "device-writable buffers come after device-readable ones") \
    X(SPLIT_EXCESSIVE,      "2.7.4.2",   "a chain has not excessively many buffers") \
    X(SPLIT_LOOP,           "2.7.5.2",   "a chain does not come back to itself") \
    X(SPLIT_LONG,           "2.7.5.3.1", "a chain is not longer than the queue's size") \
    X(SPLIT_BYTES,          "2.7.5.2",   "a chain has not more than 2^32 bytes") \
    X(SPLIT_IN_ORDER,       "2.7.5.2",   "with IN_ORDER next is the descriptor that follows") \
    X(SPLIT_INDIRECT,       "2.7.5.3.1", "INDIRECT is set if it was negotiated") \
    X(SPLIT_INDIRECT_NEXT,  "2.7.5.3.1", "INDIRECT and NEXT are not set together") \
    X(SPLIT_INDIRECT_NESTED, "2.7.5.3.1", "INDIRECT is not set within an indirect table") \
    X(SPLIT_INDIRECT_ORDER, "2.7.5.3.1", "with IN_ORDER indirect descriptors are sequential") \
    X(SPLIT_TABLE,          "2.7.5.3",   "an indirect table is whole descriptors in guest memory") \
    X(SPLIT_CHANGED,        "3.3.1",     "descriptors are not altered before the device has used them") \
    /* packed rings */ \
    X(PACKED_SIZE,          "2.8",       "the queue's size is from 1 to 32768") \
    X(PACKED_ALIGN,         "2.8.11",    "the parts of a queue are aligned") \
    X(PACKED_MEMORY,        "2.8",       "the parts of a queue are in guest memory") \
    X(PACKED_EVENT_FLAGS,   "2.8.10",    "event flags have no reserved value") \
    X(PACKED_EVENT_DESC,    "2.8.10",    "events for one descriptor need EVENT_IDX") \
    X(PACKED_EVENT_OFFSET,  "2.8.10",    "an event's offset is within the ring") \
    X(PACKED_ID,            "2.8.21.1",  "a buffer's id is below the queue's size") \
    X(PACKED_ID_BUSY,       "2.8.21.1",  "a buffer gets a free id") \
    X(PACKED_BUSY,          "2.8.17",    "a list is placed into free descriptors") \
    X(PACKED_PARTIAL,       "2.8.17",    "a list's first descriptor is made available last") \
    X(PACKED_FLAGS,         "2.8.13",    "a descriptor has no unknown flags") \
    X(PACKED_ADDRESS,       "2.8.4",     "a buffer is in guest memory") \
    X(PACKED_ORDER,         "2.8.17",    "device-writable buffers come after device-readable ones") \
    X(PACKED_EXCESSIVE,     "2.8.17",    "a list is not longer than the device allows") \
    X(PACKED_LONG,          "2.8.17",    "a list is not longer than the queue's size") \
    X(PACKED_INDIRECT,      "2.8.19",    "INDIRECT is set if it was negotiated") \
    X(PACKED_INDIRECT_NEXT, "2.8.19",    "a descriptor with INDIRECT is not in a list linked by NEXT") \
    X(PACKED_INDIRECT_FLAGS, "2.8.19",   "an indirect descriptor has no flag but WRITE") \
    X(PACKED_TABLE,         "2.8.7",     "an indirect table is whole descriptors in guest memory") \
    X(PACKED_CHANGED,       "2.8.16",    "descriptors are not altered before the device has used them")
/* clang-format on */

enum strict_rule {
#define X(name, section, text) STRICT_##name,
    STRICT_RULE_LIST(X)
#undef X
        STRICT_RULES
};

/* For X of a type's own list: an enum that begins with STRICT_RULES, and a table of infos. */
#define STRICT_TYPE_ENUM(name, section, text) STRICT_##name,
#define STRICT_TYPE_INFO(name, section, text) {section, text},

#endif
