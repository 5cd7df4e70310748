/* A plugin with one thing wrong with it, chosen by a macro; without one it is fine. For the tests of the loader only. */
#include "buttplug_plugin.h"

#ifndef MAJOR
#define MAJOR BP_ABI_MAJOR
#endif
#ifndef MINOR
#define MINOR BP_ABI_MINOR
#endif
#ifndef ENTRY_SIZE
#define ENTRY_SIZE sizeof(bp_plugin_entry)
#endif
#ifndef PROTOCOL_SIZE
#define PROTOCOL_SIZE sizeof(bp_protocol)
#endif
#ifndef CREATE
#define CREATE create
#endif
#ifndef DESTROY
#define DESTROY destroy
#endif
#ifndef OUTPUT
#define OUTPUT output
#endif
#ifndef COUNT
#define COUNT 1
#endif
#ifndef LIST
#define LIST protocols
#endif
#ifndef FIRST
#define FIRST &protocol
#endif
#ifndef NAME
#define NAME BP_STR("refused")
#endif
#ifndef SYMBOL
#define SYMBOL buttplug_plugin_entry_v1
#endif

struct bp_device {
    int nothing;
};

bp_status create(const bp_device_info *info, const bp_ops *ops, bp_device **out);
void destroy(bp_device *dev);
bp_status output(bp_device *dev, const bp_output *set, size_t count, const bp_ops *ops);

static bp_device device;

bp_status create(const bp_device_info *info, const bp_ops *ops, bp_device **out) {
    (void)info;
    (void)ops;
    *out = &device;
    return BP_OK;
}

void destroy(bp_device *dev) { (void)dev; }

bp_status output(bp_device *dev, const bp_output *set, size_t count, const bp_ops *ops) {
    (void)dev;
    (void)set;
    (void)count;
    (void)ops;
    return BP_OK;
}

extern const bp_protocol protocol;
const bp_protocol protocol = {
    PROTOCOL_SIZE, 0, NAME, CREATE, DESTROY, OUTPUT, NULL, NULL, NULL, NULL, NULL, NULL,
};

extern const bp_protocol *const protocols[];
const bp_protocol *const protocols[] = {FIRST, &protocol};

extern BP_EXPORT const bp_plugin_entry SYMBOL;
const bp_plugin_entry SYMBOL = {
    MAJOR, MINOR, ENTRY_SIZE, COUNT, BP_STR("refused"), BP_STR("1.0"), LIST,
};
