#ifndef ATTACH_INSIDE_H
#define ATTACH_INSIDE_H

#include <sys/types.h>

#include "attach.h"
#include "nucleus/base/list.h"
#include "nucleus/base/map.h"
#include "proto/attach.h"

/* The inside of the attachment server.
 *
 *   attach_socket.c   the socket, its folder, who may come
 *   attach.c          connections: accept, end, effects to whom they belong
 *   attach_in.c       packets -> frames -> whole requests
 *   attach_ops.c      requests -> operations of the site
 *   attach_receive.c  outstanding receives, and their withdrawal
 *   attach_moves.c    ports that come and go, and peers that are not heard
 *   attach_out.c      frames -> packets, as the peer reads them */

enum {
    ATTACH_READS_PER_TURN =
        16, /* packets of one peer before the others' turn */
    ATTACH_ACCEPTS_PER_TURN = 16,
    ATTACH_BACKLOG = 64,
    ATTACH_ALLOW_MAX = CONFIG_LIST_MAX,
    ATTACH_LOG_MAX = 256, /* bytes of a line of log */
};

enum ask_state {
    ASK_POSTED = 1, /* the nucleus has it */
    ASK_WITHDRAWN,  /* RECEIVE_STOP was given, its end has not come yet */
    ASK_WITHHELD,   /* not with the nucleus, until the peer reads */
};

/* A receive that the client has outstanding. */
struct ask {
    struct list link;
    uint64_t id;
    struct motet_ui port;
    uint64_t deadline_ns;
    enum ask_state state;
    bool stop; /* the client does not want it any more */
};

struct attach_call {
    struct list link;
    struct peer *peer;
    struct motet_ui port;
    uint64_t id;   /* the client's */
    uint64_t call; /* the nucleus's */
};

/* A message whose outcome is not known yet. */
struct attach_send {
    struct list link;
    struct peer *peer;
    struct motet_ui port;
    uint64_t id;    /* the client's */
    uint64_t token; /* the nucleus's */
};

/* A reply that was said of a port while that was moving on. */
struct attach_late {
    struct list link;
    struct peer *peer;
    uint64_t held;
    enum motet_err err;
    uint8_t annex_bytes;
    struct buf *data;
};

/* A frame on its way to the peer. */
struct out_item {
    struct list link;
    struct attach_parcel parcel;
    struct buf *data; /* the payload, or NULL */
    uint8_t fields[];
};

/* One connection. */
struct peer {
    struct list link;
    struct list dirty;
    struct attach *server;
    uv_poll_t poll;
    int fd;
    int polled; /* enum uv_poll_event bits */
    pid_t pid;  /* for the log only */
    struct motet_pi pi;
    uint64_t born_ms;
    struct motet_ui actor;
    bool attached; /* HELLO was taken */
    bool ended;    /* only its memory is left, until the handle is closed */
    bool last;     /* ends when what is queued is written */
    bool doomed;   /* ends at the next flush; `why` says why */
    bool reset;    /* the peer has closed; what it said before is still read */
    bool mute;     /* the peer cannot be told anything any more */
    bool blocked;  /* the socket is full */
    const char *why;

    struct list out; /* struct out_item */
    size_t out_bytes;

    /* The message that is coming in. */
    struct attach_gather gather;
    struct attach_frame begun;
    struct buf *data;
    enum motet_err refused; /* why it is not kept, though read to its end */

    struct list asks;
    struct list calls;
    struct list sends;
    struct list frozen; /* linked while it is not heard */
    uint32_t ask_count;
    uint32_t call_count;
    uint32_t send_count;
    uint32_t held_count;
    uint32_t port_count;
    uint32_t watch_count;
};

struct attach {
    uv_loop_t *loop;
    struct attach_hooks hooks;
    struct attach_limits limits;
    struct mem mem;
    uv_poll_t listener;
    uv_idle_t idle; /* active while there is something to flush */
    uv_timer_t greeting;
    uint32_t handles; /* of the three above and of peers, not yet closed */
    int fd;
    int reserve; /* given up to turn a connection away when none is left */
    char path[108];
    dev_t device; /* of the socket file, so that only ours is removed */
    ino_t inode;
    uid_t allow[ATTACH_ALLOW_MAX];
    uint32_t allow_count;
    struct list peers;
    struct list dirty;
    uint32_t peer_count;
    struct map by_actor;
    struct map by_call;
    struct map by_send;
    uint64_t last_token; /* counts from anywhere, so that no other site has
                          * the same: an outcome travels with its port */
    struct list frozen;  /* struct peer */
    struct list lates;   /* struct attach_late */
    uint32_t late_count;
    bool worked; /* the site has effects that nobody was told of */
    bool closed;
    uint8_t in[ATTACH_PACKET_MAX + 1];
    uint8_t out[ATTACH_PACKET_MAX];
};

/* ---- attach_socket.c -------------------------------------------------------
 */

MUST_USE bool socket_open(struct attach *a, const char *path,
                          const struct config_list *allow, char *why,
                          size_t why_size);
void socket_close(struct attach *a);
/** The next connection, or -1. @param pid  with `pi`: who it is */
int socket_accept(struct attach *a, pid_t *pid, struct motet_pi *pi);
bool socket_may_come(const struct attach *a, uid_t uid);

/* ---- attach.c --------------------------------------------------------------
 */

struct site *peer_site(const struct peer *p);
/** Ends a peer in the next flush. @param why  static; NULL: nothing to log */
void peer_doom(struct peer *p, const char *why);
/** Has it flushed soon. */
void guest_dirty(struct peer *p);
/** Ends a peer now. @param news  what watchers of its ports hear */
void peer_end(struct peer *p, enum motet_news news, const char *why);
/** Polls for what is wanted now. */
void peer_poll(struct peer *p);
/** Lets go of a call, of a message. */
void peer_call_free(struct attach_call *call);
void peer_send_free(struct attach_send *send);

/* ---- attach_in.c -----------------------------------------------------------
 */

void peer_read(struct peer *p);

/* ---- attach_ops.c ----------------------------------------------------------
 */

/** An operation of the site in the name of this peer. */
MUST_USE enum motet_err guest_op(struct peer *p, struct nuc_in *in,
                                 struct nuc_out *out);
/** A whole request. Takes `data`. @param refused  MOTET_OK, or why its payload
 * is not there */
void peer_request(struct peer *p, const struct attach_frame *f,
                  struct buf *data, enum motet_err refused);
uint64_t peer_deadline(int64_t timeout_ms);

/** Says a reply to the nucleus; takes `data`. */
enum motet_err reply_say(struct peer *p, uint64_t held, enum motet_err err,
                         uint8_t annex_bytes, struct buf *data);

/* ---- attach_moves.c --------------------------------------------------------
 */

/** Whether a peer must not be heard now: one of its ports is moving away. */
bool peer_frozen(const struct peer *p);
/** It is not read until it may be heard. */
void peer_freeze(struct peer *p);
/** Hears those again that may be heard, and says what is late. */
void guests_look(struct attach *a);
/** A reply that cannot be said yet; takes `data`. @return false: too many */
MUST_USE bool reply_later(struct peer *p, uint64_t held, enum motet_err err,
                          uint8_t annex_bytes, struct buf *data);
/** Lets go of all of that. */
void peer_moves_free(struct peer *p);
/** NUC_PORT_ADOPTED and NUC_PORT_MOVED. */
void guest_adopted(struct peer *p, const struct nuc_effect *e);
void guest_moved(struct peer *p, const struct nuc_effect *e);

/* ---- attach_receive.c ------------------------------------------------------
 */

void ask_receive(struct peer *p, const struct attach_frame *f);
void ask_stop(struct peer *p, uint64_t id);
/** NUC_DELIVER and NUC_RECEIVE_END. */
void ask_delivered(struct peer *p, const struct nuc_effect *e);
void ask_ended(struct peer *p, const struct nuc_effect *e);
/** Withdraws or posts, by what is waiting for the peer. */
void ask_balance(struct peer *p);
void ask_free_all(struct peer *p);

/* ---- attach_out.c ----------------------------------------------------------
 */

/** Queues a frame. @param data  the payload, or NULL; referenced */
void peer_push(struct peer *p, const struct attach_frame *f, struct buf *data);
/** Writes what the socket takes. */
void peer_write(struct peer *p);
void peer_drop_out(struct peer *p);
/** Says GONE to a peer at once, whatever was on the way. */
void peer_gone(struct peer *p, enum motet_err err);
/** Says GONE on a connection that is no peer yet. */
void socket_gone(int fd, enum motet_err err);

static inline bool peer_over(const struct peer *p)
{
    return p->out_bytes > p->server->limits.out_bytes_max;
}

#endif
