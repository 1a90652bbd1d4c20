// SPDX-License-Identifier: BSD-2-Clause
/*
 * Names of the features that all devices share (VIRTIO 1.4 6), for options that switch them
 * on and off; and, for the log, how a driver has set up a device. They are spelled as in the
 * specification, in small letters and without "VIRTIO_F_".
 */
#ifndef MINIVET_VIRTIO_FEATURES_H
#define MINIVET_VIRTIO_FEATURES_H

#include "virtio/base/type.h"

/* Features that queues and device.c have and options may switch off; ends with a NULL name. */
extern const struct virtio_feature_name virtio_feature_names[];

/* The feature's bit number, or -1. */
int virtio_feature_by_name(const char *name);

/* Of any bit, also those that no option switches; NULL: it has none. */
const char *virtio_feature_name(const struct virtio_device_type *type, unsigned bit);

/* [loop] With -v, when a driver has activated the device: features, queues and their vectors. */
void virtio_features_say(struct virtio_device *dev);

#endif
