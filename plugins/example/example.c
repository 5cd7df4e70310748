/* A complete plugin in C, for a device that does not exist. Build it with
 *
 *     cc -shared -fPIC -fvisibility=hidden -I../abi/include -o libbuttplug_example.so example.c
 *
 * The device has one motor (or two, if it says so) and a battery. Its packets are two bytes long:
 *
 *     to tx     3F 00  which model?           from rx   3F n   n motors
 *               4m v   motor m at v, 0..50              42 p   battery at p percent
 *               42 00  battery?
 */
#include "buttplug_plugin.h"

#include <stdlib.h>

#define MODEL_TIMER 0u
#define MODEL_LIMIT_MS 500u
#define NO_FEATURE UINT32_MAX

struct bp_device {
    uint32_t tx;
    uint32_t rx;
    uint32_t battery_wanted; /* the feature that waits for its battery, or NO_FEATURE */
    int identifying;
};

/* bp_str is not NUL-terminated. */
static int equal(bp_str text, const char *literal) {
    size_t i = 0;
    while (i < text.len && literal[i] != '\0' && text.ptr[i] == literal[i]) {
        i++;
    }
    return i == text.len && literal[i] == '\0';
}

static void send(const bp_device *dev, const bp_ops *ops, uint8_t first, uint8_t second) {
    const uint8_t packet[2] = {first, second};
    const bp_bytes data = {packet, sizeof packet};
    ops->write(ops->ctx, dev->tx, data, 0);
}

static void identified(const bp_ops *ops, const char *model, size_t len) {
    const bp_str this_protocol = {NULL, 0};
    const bp_str identifier = {model, len};
    ops->identified(ops->ctx, this_protocol, identifier);
}

static bp_status create(const bp_device_info *info, const bp_ops *ops, bp_device **out) {
    uint32_t tx = NO_FEATURE;
    uint32_t rx = NO_FEATURE;
    for (size_t i = 0; i < info->endpoint_count; i++) {
        if (equal(info->endpoints[i].name, "tx")) {
            tx = info->endpoints[i].id;
        } else if (equal(info->endpoints[i].name, "rx")) {
            rx = info->endpoints[i].id;
        }
    }
    if (tx == NO_FEATURE || rx == NO_FEATURE) {
        const bp_str text = BP_STR("the device has no endpoint tx or rx");
        ops->log(ops->ctx, BP_LOG_ERROR, text);
        return BP_FAILED;
    }
    bp_device *dev = (bp_device *)calloc(1, sizeof *dev);
    if (dev == NULL) {
        return BP_FAILED;
    }
    dev->tx = tx;
    dev->rx = rx;
    dev->battery_wanted = NO_FEATURE;
    *out = dev;
    return BP_OK;
}

static void destroy(bp_device *dev) { free(dev); }

static bp_status identify(bp_device *dev, const bp_ops *ops) {
    dev->identifying = 1;
    ops->notify(ops->ctx, dev->rx, 1);
    send(dev, ops, 0x3f, 0);
    ops->timer(ops->ctx, MODEL_TIMER, MODEL_LIMIT_MS);
    return BP_OK;
}

static bp_status output(bp_device *dev, const bp_output *set, size_t count, const bp_ops *ops) {
    for (size_t i = 0; i < count; i++) {
        if (set[i].kind != BP_OUTPUT_VIBRATE || set[i].value < 0 || set[i].value > 0xff || set[i].feature > 1) {
            return BP_UNSUPPORTED;
        }
        send(dev, ops, (uint8_t)(0x40 + set[i].feature), (uint8_t)set[i].value);
    }
    return BP_OK;
}

static bp_status event(bp_device *dev, const bp_event *event, const bp_ops *ops) {
    const uint8_t *data = event->data.ptr;
    if (event->kind == BP_EVENT_TIMER && event->id == MODEL_TIMER && dev->identifying) {
        dev->identifying = 0;
        identified(ops, "one", 3);
    } else if (event->kind == BP_EVENT_NOTIFIED && event->data.len == 2) {
        if (data[0] == 0x3f && dev->identifying) {
            dev->identifying = 0;
            ops->timer(ops->ctx, MODEL_TIMER, 0);
            if (data[1] == 2) {
                identified(ops, "two", 3);
            } else {
                identified(ops, "one", 3);
            }
        } else if (data[0] == 0x42 && dev->battery_wanted != NO_FEATURE) {
            ops->reading(ops->ctx, dev->battery_wanted, BP_INPUT_BATTERY, data[1]);
            dev->battery_wanted = NO_FEATURE;
        }
    }
    return BP_OK; /* Events of other kinds, and kinds of a later minor version, are of no interest. */
}

static bp_status input(bp_device *dev, const bp_input *input, const bp_ops *ops) {
    if (input->kind != BP_INPUT_BATTERY || input->want != BP_WANT_READ) {
        return BP_UNSUPPORTED;
    }
    dev->battery_wanted = input->feature;
    send(dev, ops, 0x42, 0);
    return BP_OK;
}

/* What is NULL is done by the service: `start` is ready at once, `stop` sets every output to rest, `keep_alive` repeats the
 * last packet. */
static const bp_protocol example = {
    sizeof(bp_protocol), 0, BP_STR("example"), create, destroy, output, identify, NULL, NULL, event, input, NULL,
};

static const bp_protocol *const protocols[] = {&example};

const bp_plugin_entry buttplug_plugin_entry_v1 = {
    BP_ABI_MAJOR, BP_ABI_MINOR, sizeof(bp_plugin_entry), 1, BP_STR("example"), BP_STR("1.0"), protocols,
};
