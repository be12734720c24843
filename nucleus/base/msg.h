#ifndef BASE_MSG_H
#define BASE_MSG_H

#include <motet/err.h>
#include <motet/types.h>
#include <stdint.h>

#include "nucleus/base/buf.h"

/* What travels between two ports. The kinds of the first group are *queued*:
 * they enter the queue of the destination port, in order, against its limits
 * (NEWS is queued in order but not counted). The kinds of the second group
 * *return*: they are matched to a call, a held call, a watch or a move and
 * never wait for room in a queue. The two groups of a pair of ports are two
 * flows. */
enum msg_kind {
    MSG_SEND = 1, /* one way */
    MSG_REQUEST,  /* a call: `call` and `reply_to` say where the reply goes */
    MSG_NEWS, /* of a watch: `call` = watch id, `status` = enum motet_news */

    MSG_REPLY,     /* `call`; `status` MOTET_OK, or why there is no reply */
    MSG_CANCEL,    /* the caller of `call` gave up or died */
    MSG_FORWARDED, /* `call` is now with the port `reply_to` */
    MSG_WATCH,     /* source watches destination under id `call` */
    MSG_UNWATCH,   /* ends it */
    MSG_RELAY,   /* from the control port of a former owner: its actor's answer
                  * to the held request `call`; `status`, body */
    MSG_MIGRATE, /* from control port to control port: a frame of a migration,
                  * and what goes with it */
    MSG_KIND_COUNT
};

struct msg {
    enum msg_kind kind;
    uint8_t annex_bytes;      /* 0 .. MOTET_ANNEX_MAX */
    uint16_t status;          /* see the kinds; REQUEST: how often it was handed
                               * on, FORWARDED: likewise, with this time */
    uint32_t remaining_ms;    /* REQUEST: time left to its deadline when it was
                               * last handed on, 0 = no deadline */
    uint64_t call;            /* id given by the caller or watcher */
    struct motet_ui reply_to; /* see the kinds */
    struct motet_ui target;   /* the group it was addressed to, 0 if direct */
    struct motet_pi pi;       /* of the sender, stamped by its nucleus */
    struct buf *data;         /* annex, then body; NULL = both empty */
};

static inline uint32_t msg_bytes(const struct msg *m)
{
    return m->data == NULL ? 0 : m->data->size;
}

static inline uint32_t msg_body_bytes(const struct msg *m)
{
    return msg_bytes(m) - m->annex_bytes;
}

static inline bool msg_returns(enum msg_kind kind)
{
    return kind >= MSG_REPLY;
}

#endif
