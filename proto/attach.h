#ifndef PROTO_ATTACH_H
#define PROTO_ATTACH_H

#include <motet/err.h>
#include <motet/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/check.h"
#include "nucleus/base/cursor.h"

/* The protocol between an attached program and its site, over a local
 * SOCK_SEQPACKET socket. One packet holds one or more whole frames and is at
 * most ATTACH_PACKET_MAX bytes. A frame, little-endian:
 *
 *   0 u8  op (enum attach_op)   1 u8 flags (enum attach_flag)   2 u16 zero
 *   4 u32 size of what follows these 16 bytes
 *   8 u64 id: the request's; given by the client, rising from 1
 *  16     fields of the op (the table in attach.c), then payload
 *
 * The payload is annex and body of a message. What does not fit in one frame
 * goes on in further frames of the same op and id: all but the last flagged
 * MORE, all but the first flagged CONT and without fields. Nothing comes
 * between them. Each frame with MORE holds at least ATTACH_CHUNK_MIN bytes of
 * payload, so that a promise of much costs something. A message begun can be
 * taken back by a last frame flagged VOID.
 *
 * The first frame of a client is HELLO. Every request is answered exactly once,
 * by the frame named beside it below, with its id; REPLY, RECEIVE_STOP and BYE
 * have no answer. The other frames of a site are events, with id 0. Deadlines
 * travel as remaining milliseconds, -1 for ever.
 *
 * Both ends decode all that the other says with attach_decode(), and trust
 * nothing that it did not check. */

enum {
    ATTACH_VERSION = 2,
    ATTACH_HEADER_BYTES = 16,
    ATTACH_PACKET_MAX = 65536, /* bytes of one packet */
    ATTACH_FIELDS_MAX = 4096,  /* bytes of the fields of one frame, at most */
    ATTACH_CHUNK_MIN = 16384,  /* payload of a frame with MORE, at least */
    ATTACH_MEMBERS_MAX = 64,   /* members of a group in one answer */
    ATTACH_TIMEOUT_MAX_MS = 1 << 30, /* 12 days; longer is for ever */
};

#define ATTACH_MAGIC 0x7474616d /* "matt" */

enum attach_op {
    /* From the client. */
    ATTACH_HELLO = 1, /* magic, version, name of the actor or "" -> RESULT */
    ATTACH_BYE,
    ATTACH_PORT_NEW,     /* attr -> RESULT cap */
    ATTACH_PORT_END,     /* port -> RESULT */
    ATTACH_PORT_SET,     /* port, attr -> RESULT */
    ATTACH_PORT_INFO,    /* port -> RESULT info */
    ATTACH_GROUP_NEW,    /* name or "" -> RESULT cap */
    ATTACH_GROUP_INSERT, /* cap, port -> RESULT */
    ATTACH_GROUP_REMOVE, /* cap, port -> RESULT */
    ATTACH_GROUP_LIST,   /* target, index -> RESULT members from there on */
    ATTACH_SEND,         /* port, dest, timeout, wait, payload -> SENT */
    ATTACH_CALL,         /* port, dest, timeout, payload -> CALL_DONE */
    ATTACH_RECEIVE,      /* port (0 = any enabled), timeout -> DELIVER or
                          * RECEIVE_END */
    ATTACH_RECEIVE_STOP, /* id of the RECEIVE */
    ATTACH_REPLY,        /* id = held; err, payload */
    ATTACH_FORWARD,      /* held, dest -> RESULT */
    ATTACH_CANCEL,       /* of = id of the CALL -> RESULT */
    ATTACH_WATCH,        /* port, subject -> RESULT watch */
    ATTACH_UNWATCH,      /* watch -> RESULT */
    ATTACH_ACTOR_FIND,   /* name -> RESULT target */
    ATTACH_ADOPTS,       /* on: ports may move to this actor -> RESULT */

    /* From the site. */
    ATTACH_RESULT = 64,  /* op it answers, err, and its results if err is OK */
    ATTACH_SENT,         /* err */
    ATTACH_CALL_DONE,    /* err, source, payload */
    ATTACH_DELIVER,      /* port source target pi held seq remaining_ms news
                          * watch subject payload */
    ATTACH_RECEIVE_END,  /* err */
    ATTACH_ROOM,         /* port, target */
    ATTACH_CANCELLED,    /* held, port */
    ATTACH_PORT_GONE,    /* port */
    ATTACH_GONE,         /* err: the site ends this attachment */
    ATTACH_PORT_ADOPTED, /* cap, attr, seq: a port has moved to this actor */
    ATTACH_PORT_MOVED,   /* port: another owns it. What was begun from it was
                          * answered before, with MAYBE_MOVED */
    ATTACH_FROZEN,       /* on: a port moves, and until this comes with `on`
                          * false the site reads nothing of this client */
    ATTACH_OP_COUNT
};

enum attach_flag {
    ATTACH_MORE = 1 << 0, /* the payload goes on in the next frame */
    ATTACH_CONT = 1 << 1, /* this goes on with the payload of the last frame */
    ATTACH_VOID = 1 << 2, /* with CONT: the message is taken back */
};

enum attach_end { ATTACH_CLIENT, ATTACH_SITE };

struct attach_member {
    struct motet_ui port;
    uint64_t site;
};

/* One frame, decoded or to be encoded. Only the fields of its op count. */
struct attach_frame {
    enum attach_op op;
    uint8_t flags;
    uint64_t id;

    uint32_t magic;
    uint32_t version;
    enum attach_op answers; /* RESULT: the op */
    enum motet_err err;
    struct motet_ui port;
    struct motet_ui source;
    struct motet_ui target;
    struct motet_ui subject;
    struct motet_cap cap;
    struct motet_dest dest;
    struct motet_pi pi;
    bool enabled;
    uint8_t priority;
    uint32_t queue_msgs_max;
    uint32_t queue_bytes_max;
    int64_t timeout_ms; /* -1 or 0 .. ATTACH_TIMEOUT_MAX_MS */
    bool wait;
    bool on;
    uint64_t held;
    uint64_t of;
    uint64_t watch;
    uint64_t seq;
    uint32_t remaining_ms;
    uint32_t news; /* 0 or enum motet_news */
    uint32_t index;
    uint32_t body_bytes_max;
    uint32_t queue_msgs;
    uint32_t queue_bytes;
    uint32_t waiting;
    uint64_t oldest_ms;                  /* age of the oldest queued message */
    uint32_t member_count;               /* at most ATTACH_MEMBERS_MAX */
    const struct attach_member *members; /* to be encoded */
    const uint8_t *member_bytes;         /* decoded: see attach_member() */
    char name[MOTET_NAME_MAX + 1];

    /* Payload. */
    uint8_t annex_bytes;
    uint32_t total;       /* annex and body in all; not in a CONT frame */
    const uint8_t *chunk; /* decoded: points into the packet */
    uint32_t chunk_bytes;
};

/** The i-th member of a decoded frame, i < member_count. */
struct attach_member attach_member(const struct attach_frame *f, uint32_t i);

/** "SEND", for logs; "?" outside the list. Static. */
const char *attach_op_name(enum attach_op op);

/** Whether frames of this op carry a payload. */
bool attach_has_payload(enum attach_op op);

/**
 * Writes the fields of a first frame (no header, no payload).
 *
 * @return bytes written, at most ATTACH_FIELDS_MAX
 */
size_t attach_fields(const struct attach_frame *f,
                     uint8_t out[ATTACH_FIELDS_MAX]);

/* A message or a plain frame on its way out: cut into frames as room permits.
 * The payload itself is the caller's business. */
struct attach_parcel {
    enum attach_op op;
    uint64_t id;
    const uint8_t *fields; /* as attach_fields() wrote them */
    uint32_t field_bytes;
    uint32_t total; /* bytes of payload */
    uint32_t at;    /* bytes of it sent already */
    bool begun;     /* the first frame was written */
};

/**
 * Writes the head (header, and fields if it is the first) of the next frame and
 * says how many bytes of payload, from p->at on, the caller must put behind it
 * and in the same packet. Changes only `p` and `w`.
 *
 * @param room   bytes left in the packet
 * @param chunk  set when true
 * @return false if `room` is too small for a frame; nothing was written. Never
 *         for an empty packet
 */
MUST_USE bool attach_cut(struct attach_parcel *p, struct writer *w, size_t room,
                         uint32_t *chunk);

/** All of it is cut. */
static inline bool attach_cut_done(const struct attach_parcel *p)
{
    return p->begun && p->at == p->total;
}

/** Writes the frame that takes a message back; ATTACH_HEADER_BYTES. */
void attach_void(enum attach_op op, uint64_t id, struct writer *w);

/**
 * Reads the next frame of a packet.
 *
 * @param from  who sent it: ops of the other end are refused
 * @return false: this is no frame that `from` may send; close. What it says of
 *         payload (annex, total, chunk, flags) fits together, names are
 *         NUL-terminated, numbers that stand for an enum are in its range.
 *         That a CONT frame follows its beginning: attach_gather().
 *
 * Ownership: f->chunk borrows from the packet.
 */
MUST_USE bool attach_decode(struct reader *r, enum attach_end from,
                            struct attach_frame *f);

/* The message that is coming in by parts. Zero: none. */
struct attach_gather {
    enum attach_op op; /* 0 = none */
    uint64_t id;
    uint32_t total;
    uint32_t got;
};

enum attach_gathered {
    ATTACH_BAD,   /* out of turn: close */
    ATTACH_PART,  /* the chunk belongs at `at`; more will come */
    ATTACH_WHOLE, /* the chunk belongs at `at`, and the message is complete */
    ATTACH_TAKEN_BACK, /* the message is void */
};

/** Follows the payload of frames in the order they came. @param at  where the
 * chunk of `f` belongs in the payload */
MUST_USE enum attach_gathered attach_gather(struct attach_gather *g,
                                            const struct attach_frame *f,
                                            uint32_t *at);

#endif
