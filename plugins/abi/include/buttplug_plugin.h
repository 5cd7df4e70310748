/* The C ABI between buttplugd and its protocol plugins, major version 1.
 *
 * A plugin is a library that knows byte languages of devices. It is a pure translator: events go in, operations come
 * out. It opens no device, starts no thread, reads no clock and no random source; the service does all of that. So every
 * call below returns at once, and what a plugin asks for during a call happens after the call.
 *
 * Life       create -> identify -> start -> (output | stop | event | input | keep_alive)* -> destroy
 *            `create` gets what is known from the outside. `identify` talks to the device until it can say which model
 *            it is (`ops->identified`). The service then looks up the features of that model and calls `start`, which
 *            ends with `ops->ready`. `event` may come at any time after `create`. Answers of the device arrive as
 *            events, so a handshake is a small state machine over `identify` or `start`, and `event`.
 * Ownership  Every pointer handed to either side is valid until that call returns; copy what you keep. Nothing is ever
 *            freed by the side that did not allocate it. `bp_device` is the plugin's own: `create` makes it, `destroy`
 *            frees it, the service only passes it on.
 * Threads    Calls for one bp_device never overlap, but may come from different threads one after the other. Calls for
 *            two devices may come at the same time. `ops` may be used only by the thread of the call it was given to,
 *            and only until that call returns.
 * Panics     No call may unwind out of a plugin, nor may a plugin unwind through `ops`. Catch, and return BP_PANICKED.
 *            The service then gives the device up, after it has tried to stop it, and goes on.
 * Time       A call that takes longer than BP_CALL_LIMIT_MS is given up together with its device.
 * Growth     Structs that begin with struct_size only gain fields at their end; struct_size says how many bytes the
 *            writer knew. A function past struct_size, or NULL, is one that the writer does not have. Structs without
 *            struct_size stand in arrays and do not change within a major version. New kinds, flags and events may be
 *            added in a minor version: a plugin ignores an event of a kind that it does not know.
 * Strings    UTF-8 with a length, not NUL-terminated. An empty one may have a NULL pointer.
 * Limits     The BP_MAX_ constants. What goes over them is an error of the plugin and costs the device.
 * Loading    The library exports one piece of data, `buttplug_plugin_entry_v1`. Looking at it runs no code of the plugin.
 *            Libraries are loaded when the first device that needs them appears, and are never unloaded.
 */
#ifndef BUTTPLUG_PLUGIN_H
#define BUTTPLUG_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define BP_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define BP_EXPORT __attribute__((visibility("default")))
#else
#define BP_EXPORT
#endif

#define BP_ABI_MAJOR 1u /* A library of another major version is refused. Raised when a layout or a meaning changes. */
#define BP_ABI_MINOR 0u /* A library of a higher minor version than the service's is refused. */

/* ---- Limits ------------------------------------------------------------------------------------------------------ */

#define BP_MAX_OPERATIONS 256u          /* operations queued in one call */
#define BP_MAX_DATA 4096u               /* bytes of one write */
#define BP_MAX_TEXT 1024u               /* bytes of a log line, an identifier or a protocol id */
#define BP_MAX_TIMERS 64u               /* timers are numbered from 0 to BP_MAX_TIMERS - 1 */
#define BP_MAX_TIMER_EVENTS 250u        /* timer events of one device in one second */
#define BP_MAX_PROTOCOLS 256u           /* protocols of one library */
#define BP_CALL_LIMIT_MS 1000u          /* the longest time that one call may take */

/* ---- Values ------------------------------------------------------------------------------------------------------ */

typedef struct bp_str {
    const char *ptr;
    size_t len;
} bp_str;

typedef struct bp_bytes {
    const uint8_t *ptr;
    size_t len;
} bp_bytes;

/* The result of a call. Operations queued in a call count only if it returns BP_OK; log lines always count. */
typedef int32_t bp_status;
#define BP_OK 0          /* Done, or under way. */
#define BP_UNSUPPORTED 1 /* Not something this plugin does: the same as if the function were NULL. The device is kept. */
#define BP_BAD_REPLY 2   /* The device answered what the protocol does not allow. The device is given up. */
#define BP_FAILED 3      /* The plugin cannot go on with this device. The device is given up. */
#define BP_PANICKED 4    /* The plugin lost control of its own state. The device is given up. */

/* Kinds of outputs. The value is an integer in the range that the model gives. */
#define BP_OUTPUT_VIBRATE 1u
#define BP_OUTPUT_ROTATE 2u /* negative: counter-clockwise, where the range has negative values */
#define BP_OUTPUT_OSCILLATE 3u
#define BP_OUTPUT_CONSTRICT 4u
#define BP_OUTPUT_TEMPERATURE 5u
#define BP_OUTPUT_LED 6u
#define BP_OUTPUT_SPRAY 7u
#define BP_OUTPUT_POSITION 8u               /* a place to go to at once */
#define BP_OUTPUT_POSITION_WITH_DURATION 9u /* a place to go to in bp_output.duration_ms */

/* Kinds of inputs. */
#define BP_INPUT_BATTERY 1u
#define BP_INPUT_RSSI 2u
#define BP_INPUT_BUTTON 3u
#define BP_INPUT_PRESSURE 4u
#define BP_INPUT_DEPTH 5u
#define BP_INPUT_POSITION 6u

/* What is wanted of an input, and (as flags, 1 << (BP_WANT_.. - 1)) what a model allows. */
#define BP_WANT_READ 1u        /* one reading now */
#define BP_WANT_SUBSCRIBE 2u   /* readings whenever there is something new */
#define BP_WANT_UNSUBSCRIBE 3u /* no more of them */
#define BP_WAY_READ 1u
#define BP_WAY_SUBSCRIBE 2u

/* The bus by which the device is reached. */
#define BP_TRANSPORT_OTHER 0u
#define BP_TRANSPORT_BLUETOOTH 1u
#define BP_TRANSPORT_SERIAL 2u
#define BP_TRANSPORT_HID 3u
#define BP_TRANSPORT_WEBSOCKET 4u

/* What an endpoint can do; 0 where the transport does not know. */
#define BP_ENDPOINT_READ 1u
#define BP_ENDPOINT_WRITE 2u               /* with response */
#define BP_ENDPOINT_WRITE_NO_RESPONSE 4u
#define BP_ENDPOINT_NOTIFY 8u

/* Flags of ops->write. Where the endpoint has only the other kind, the other kind is used. */
#define BP_WRITE_WITH_RESPONSE 1u

/* Levels of ops->log. */
#define BP_LOG_ERROR 1u /* something is broken */
#define BP_LOG_WARN 2u  /* something is odd */
#define BP_LOG_DEBUG 3u /* a decision worth knowing when looking for a fault */

/* Kinds of events. */
#define BP_EVENT_NOTIFIED 1u     /* id: endpoint, data: what the device sent */
#define BP_EVENT_READ 2u         /* id: endpoint, data: what a read gave */
#define BP_EVENT_READ_FAILED 3u  /* id: endpoint */
#define BP_EVENT_WRITE_FAILED 4u /* id: endpoint; only after bring-up, during which a failed write ends the device */
#define BP_EVENT_TIMER 5u        /* id: timer; it is no longer set */

/* ---- What the plugin is told ------------------------------------------------------------------------------------- */

typedef struct bp_endpoint {
    uint32_t id;    /* what the operations and events name; counted from 0 */
    uint32_t flags; /* BP_ENDPOINT_ */
    bp_str name;    /* as in the definition: "tx", "rx", "rxblebattery" */
} bp_endpoint;

typedef struct bp_param { /* a string of the definition's `params` table */
    bp_str key;
    bp_str value;
} bp_param;

typedef struct bp_manufacturer_data { /* one entry of a Bluetooth advertisement */
    uint32_t company;
    uint32_t reserved;
    bp_bytes data;
} bp_manufacturer_data;

/* What is known before a byte has been exchanged. */
typedef struct bp_device_info {
    uint32_t struct_size;
    uint32_t transport; /* BP_TRANSPORT_ */
    uint64_t seed;      /* the only randomness there is; fixed in tests */
    bp_str protocol;    /* the id of the definition's protocol, for which this device was recognised */
    bp_str name;        /* as advertised; empty where the bus has no names */
    bp_str address;     /* Bluetooth address "00:11:22:33:44:55" where known, else empty */
    uint32_t vendor;    /* USB ids; 0 where the bus has none */
    uint32_t product;
    const bp_manufacturer_data *manufacturer_data;
    size_t manufacturer_data_count;
    const bp_endpoint *endpoints; /* those of the definition that the device has; a missing one is normal */
    size_t endpoint_count;
    const bp_param *params;
    size_t param_count;
} bp_device_info;

typedef struct bp_output_range {
    uint32_t kind; /* BP_OUTPUT_ */
    int32_t min;
    int32_t max;
    uint32_t reserved;
    uint32_t duration_min_ms; /* both 0 but for BP_OUTPUT_POSITION_WITH_DURATION */
    uint32_t duration_max_ms;
} bp_output_range;

typedef struct bp_input_range {
    uint32_t kind; /* BP_INPUT_ */
    int32_t min;
    int32_t max;
    uint32_t ways; /* BP_WAY_ */
} bp_input_range;

typedef struct bp_feature {
    uint32_t index; /* as in the definition; indexes may have gaps */
    uint32_t reserved;
    const bp_output_range *outputs;
    size_t output_count;
    const bp_input_range *inputs;
    size_t input_count;
} bp_feature;

/* The model as the definition knows it, features in rising index. */
typedef struct bp_model {
    uint32_t struct_size;
    uint32_t reserved;
    bp_str identifier; /* what ops->identified gave, listed or not */
    bp_str variant;    /* of the definition; mostly empty */
    const bp_feature *features;
    size_t feature_count;
} bp_model;

typedef struct bp_output {
    uint32_t feature;     /* index */
    uint32_t kind;        /* BP_OUTPUT_ */
    int32_t value;        /* inside the range of the model */
    uint32_t duration_ms; /* 0 but for BP_OUTPUT_POSITION_WITH_DURATION */
} bp_output;

typedef struct bp_input { /* what is wanted of an input */
    uint32_t feature;     /* index */
    uint32_t kind;        /* BP_INPUT_ */
    uint32_t want;        /* BP_WANT_ */
    uint32_t reserved;
} bp_input;

typedef struct bp_event {
    uint32_t kind; /* BP_EVENT_ */
    uint32_t id;   /* endpoint or timer, by the kind */
    bp_bytes data; /* empty where the kind has none */
} bp_event;

/* ---- What the plugin may ask for --------------------------------------------------------------------------------- */

/* Each function only queues and returns at once. All are there, never NULL, in a service of the plugin's minor version.
 * The service makes the transfers one at a time, in the order asked for. `ctx` is passed on as it is. */
typedef struct bp_ops {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t now_ms; /* monotonic; the time of this call */
    void *ctx;
    /* Sends a packet. Its failure is an event, its success is silent. */
    void (*write)(void *ctx, uint32_t endpoint, bp_bytes data, uint32_t flags);
    /* Reads an endpoint: BP_EVENT_READ or BP_EVENT_READ_FAILED follows. */
    void (*read)(void *ctx, uint32_t endpoint, uint32_t max_len);
    /* on = 1: what the device sends there comes as BP_EVENT_NOTIFIED; on = 0: no longer. */
    void (*notify)(void *ctx, uint32_t endpoint, uint32_t on);
    /* BP_EVENT_TIMER once, after_ms from now. Replaces a timer of the same number; 0 cancels it. */
    void (*timer)(void *ctx, uint32_t timer, uint32_t after_ms);
    /* Ends identification. `protocol` empty: this one goes on with `start`; else the named one takes over. `model` is the
     * identifier under which the definition lists the model; one that is not listed gets the protocol's default. */
    void (*identified)(void *ctx, bp_str protocol, bp_str model);
    /* Ends bring-up. */
    void (*ready)(void *ctx);
    /* An input has a value: the answer to BP_WANT_READ, or news after BP_WANT_SUBSCRIBE. */
    void (*reading)(void *ctx, uint32_t feature, uint32_t kind, int32_t value);
    /* The other answer to BP_WANT_READ or BP_WANT_SUBSCRIBE. */
    void (*input_failed)(void *ctx, uint32_t feature, uint32_t kind);
    /* A line for the service's log. The only function that `create` may use. */
    void (*log)(void *ctx, uint32_t level, bp_str text);
} bp_ops;

/* ---- What the plugin offers -------------------------------------------------------------------------------------- */

typedef struct bp_device bp_device; /* the plugin's own */

typedef struct bp_protocol {
    uint32_t struct_size;
    uint32_t reserved;
    bp_str name; /* the id that the definition names */

    /* Required. Makes the state of one device and puts it into *out. On any status but BP_OK nothing was made. */
    bp_status (*create)(const bp_device_info *info, const bp_ops *ops, bp_device **out);
    /* Required. Frees it. Nothing can be asked for any more. */
    void (*destroy)(bp_device *dev);
    /* Required. Sets outputs, the whole changed set at once. */
    bp_status (*output)(bp_device *dev, const bp_output *set, size_t count, const bp_ops *ops);

    /* Optional: which model is this? NULL: the identifier is the advertised name. */
    bp_status (*identify)(bp_device *dev, const bp_ops *ops);
    /* Optional: bring the model up. NULL: ready at once. Not preceded by `identify` where another protocol handed over. */
    bp_status (*start)(bp_device *dev, const bp_model *model, const bp_ops *ops);
    /* Optional: brings outputs to rest. The set has the rest values, and positions too, which are not to move: a timed
     * movement is given up. NULL: the service calls `output` with the same set without the positions. */
    bp_status (*stop)(bp_device *dev, const bp_output *set, size_t count, const bp_ops *ops);
    /* Optional. NULL: events are of no interest. */
    bp_status (*event)(bp_device *dev, const bp_event *event, const bp_ops *ops);
    /* Optional: what is wanted of an input. NULL: there are none. */
    bp_status (*input)(bp_device *dev, const bp_input *input, const bp_ops *ops);
    /* Optional: the device wants a sign of life. NULL: the service repeats the last packet that set an output. */
    bp_status (*keep_alive)(bp_device *dev, const bp_ops *ops);
} bp_protocol;

typedef struct bp_plugin_entry {
    uint32_t abi_major; /* BP_ABI_MAJOR; these two are first in every version, for ever */
    uint32_t abi_minor; /* BP_ABI_MINOR */
    uint32_t struct_size;
    uint32_t protocol_count;
    bp_str id;      /* of the plugin, for logs */
    bp_str version; /* of the plugin, for logs */
    const bp_protocol *const *protocols;
} bp_plugin_entry;

/* What the library exports, as data. */
extern BP_EXPORT const bp_plugin_entry buttplug_plugin_entry_v1;

/* A bp_str of a string literal, in initialisers. */
#define BP_STR(literal) { (literal), sizeof(literal) - 1 }

#ifdef __cplusplus
}
#endif

#endif /* BUTTPLUG_PLUGIN_H */
