#ifndef MOTET_MOTET_H
#define MOTET_MOTET_H

/* Motet for programs: attach to a site as a user actor, create ports, send,
 * call, receive and reply. docs/examples has whole programs.
 *
 * Time-outs are milliseconds: 0 = do not wait for others (only for the local
 * site), MOTET_FOREVER. Where the deadline passes first the error is TIMEOUT,
 * or MAYBE_TIMEOUT if what was asked may have happened; motet_err_ran() tells
 * which errors are safe to retry.
 *
 * A struct motet, and all that was made from it, is used by one thread at a
 * time; different ones are independent. There is no global state. After fork()
 * only one of the two processes may go on using it.
 *
 * NULL handles are refused with INVALID, so that errors may be looked at late.
 * When the site is lost, everything outstanding ends with DETACHED (certainly
 * not done) or MAYBE_DETACHED; what was received before can still be read. */

#include <motet/err.h>
#include <motet/supervisor.h>
#include <motet/types.h>

struct motet;      /* an attachment: one user actor */
struct motet_port; /* a port of it */

enum {
    MOTET_PARTS_MAX = 64, /* pieces of a body in motet_sendv() */
    MOTET_PATH_MAX = 108, /* bytes of a socket's path, with the NUL */
};

/* ---- attachment ------------------------------------------------------------
 */

/**
 * Attaches to a site.
 *
 * @param where  NULL: $MOTET_SITE if it is set, else the first site of
 *               $MOTET_CLUSTER or of the only running cluster; "site2": of
 *               $MOTET_CLUSTER, or of the only cluster that has one;
 *               "cluster/site2"; a path, beginning with '/' or '.'
 * @param m      set on success, else NULL
 * @return NO_SITE: nothing is listening there; AMBIGUOUS: several would do;
 *         PERMISSION, LIMIT, VERSION: the site refuses; TOO_BIG: the path has
 *         more than 107 bytes
 *
 * Ownership: gives; release with motet_detach().
 */
MOTET_API MOTET_MUST_USE enum motet_err motet_attach(const char *where,
                                                     struct motet **m);

/** Likewise as an actor with a name that motet_actor_find() finds.
 * @return NAME_TAKEN or EXISTS when the site has one */
MOTET_API MOTET_MUST_USE enum motet_err
motet_attach_as(const char *where, const char *name, struct motet **m);

/** Leaves in good order: ports are closed (CLOSED), not crashed. Frees `m` and
 * its ports. NULL is allowed. */
MOTET_API void motet_detach(struct motet *m);

/** The UI of this actor; zero for NULL. */
MOTET_API struct motet_ui motet_ui(const struct motet *m);
/** The UI of its site; zero for NULL. */
MOTET_API struct motet_ui motet_site_ui(const struct motet *m);
/** The name of its site; "" for NULL. Lives as long as `m`. */
MOTET_API const char *motet_site_name(const struct motet *m);
/** The largest body that its site takes, bytes. */
MOTET_API size_t motet_body_max(const struct motet *m);
/** Whether the site has been lost. */
MOTET_API bool motet_lost(const struct motet *m);

/** The actor called `name` on this site. @return NO_ACTOR */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_find(struct motet *m, const char *name, struct motet_ui *actor);

/** The folder of the sockets of a cluster: $MOTET_RUNTIME_DIR/CLUSTER; for root
 * /run/motet/CLUSTER; else $XDG_RUNTIME_DIR/motet/CLUSTER, else a folder of
 * this user in the temporary directory. `cluster` NULL: the folder above.
 * @return TOO_BIG if `size` is too small */
MOTET_API MOTET_MUST_USE enum motet_err
motet_runtime_dir(const char *cluster, char *path, size_t size);

/** Where the site's socket is: SITE.sock in that folder.
 * @return INVALID for what is no name; TOO_BIG if it does not fit `size`, or
 * has more than 107 bytes: no socket can be there */
MOTET_API MOTET_MUST_USE enum motet_err motet_socket_path(const char *cluster,
                                                          const char *site,
                                                          char *path,
                                                          size_t size);

/* ---- ports -----------------------------------------------------------------
 */

/**
 * Creates a port, enabled for motet_receive_any().
 *
 * @param name  the static group it joins, by which all sites find it; NULL:
 * none
 * @param port  set on success, else NULL
 *
 * Ownership: gives; motet_port_delete() or motet_detach() releases.
 */
MOTET_API MOTET_MUST_USE enum motet_err
motet_port_create(struct motet *m, const char *name, struct motet_port **port);

/** Likewise with limits of its queue; 0: the default of the site. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_port_create_limited(struct motet *m, const char *name,
                          uint32_t queue_msgs_max, uint32_t queue_bytes_max,
                          struct motet_port **port);

/** Closes it and frees the handle. Messages not received are lost, calls among
 * them end as not executed. NULL is allowed. */
MOTET_API void motet_port_delete(struct motet_port *port);

/** Takes part in motet_receive_any(); ports of priority 0 come first. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_port_enable(struct motet_port *port, uint8_t priority);
MOTET_API MOTET_MUST_USE enum motet_err
motet_port_disable(struct motet_port *port);

/** The port's UI; zero for NULL. */
MOTET_API struct motet_ui motet_port_ui(const struct motet_port *port);
/** The right to manage it; zero for NULL. */
MOTET_API struct motet_cap motet_port_cap(const struct motet_port *port);

/** The caller's word for a port: found again with its messages. */
MOTET_API void motet_port_set_data(struct motet_port *port, void *data);
MOTET_API void *motet_port_data(const struct motet_port *port);

/** A port of this attachment from which to send and call where it does not
 * matter from which; made when first asked for, never enabled.
 * @return NULL if there can be none: calls with it say INVALID */
MOTET_API struct motet_port *motet_own_port(struct motet *m);

/** The port `port` of this attachment, as its messages and events name it.
 * @return NULL if it has none: never, deleted, or moved away */
MOTET_API struct motet_port *motet_port_find(struct motet *m,
                                             struct motet_ui port);

struct motet_port_info {
    struct motet_ui actor;
    char actor_name[MOTET_NAME_MAX + 1];
    bool enabled;
    uint8_t priority;
    uint32_t queue_msgs_max;
    uint32_t queue_bytes_max;
    uint32_t queue_msgs;
    uint32_t queue_bytes;
    uint32_t waiting;   /* senders waiting for room */
    uint64_t seq;       /* messages queued so far */
    uint64_t oldest_ms; /* age of the oldest queued message, 0 = none */
};

/** Of any port on this site. @return NO_PORT */
MOTET_API MOTET_MUST_USE enum motet_err
motet_port_info(struct motet *m, struct motet_ui port,
                struct motet_port_info *info);

/* ---- ports that move -------------------------------------------------------
 *
 * A port can move to another actor, here or on another site, while it is in
 * use: docs/MIGRATION.md. Senders notice nothing but a pause.
 *
 * To the actor that had it: MOTET_EVENT_PORT_MOVED. What was received on it
 * before, and messages that had arrived here already, are this program's: they
 * can be received from the old handle, and answered. Otherwise that handle is
 * of no use any more: everything says MOVED (certainly not done) until it is
 * deleted, which does not touch the port. Sends and calls begun from it end
 * here with MAYBE_MOVED: they go on, and nobody is told how they end. Its
 * watches and memberships in groups have moved along.
 *
 * To the actor that has it now: MOTET_EVENT_PORT_ADOPTED with its UI in `port`,
 * its capability in `cap`, and in `seq` the last ordinal that was given to
 * earlier owners: what comes on it has a higher one. motet_port_find() gives
 * its handle, which is as any other: the first message may come before the
 * event is looked at, with that handle in it. */

/** Whether ports may move to this actor; not at first. It must have a name
 * (motet_attach_as()) to be found by those who move them. Ports that have come
 * stay. */
MOTET_API MOTET_MUST_USE enum motet_err motet_adopts(struct motet *m,
                                                     bool adopts);

enum motet_move_flag {
    MOTET_MOVE_DROP = 1, /* what is queued is not taken along: messages are
                          * lost, callers are told MOVING (not executed) */
};

/**
 * Moves a port of this attachment to another actor and waits until that is
 * over.
 *
 * @param to          "site2/actor", or "site2": the actor there of the name
 *                    that the port's actor has here
 * @param flags       0 or MOTET_MOVE_DROP
 * @param timeout_ms  for all of it; then it is given up, if that is still
 *                    possible
 * @return OK: it has moved. NO_SITE, NO_ACTOR: nothing of that name; DECLINED:
 *         that actor does not adopt; MOVING: it moves already; UNREACHABLE,
 *         LIMIT, NO_MEMORY: of the other site; TIMEOUT, CANCELLED: given up. In
 *         all these it stays where it is, and serves. SITE_DEAD: the other site
 *         died; MOTET_EVENT_PORT_MOVED tells if the port went with it.
 *         MAYBE_TIMEOUT: it is committed, and the other site has not answered
 */
MOTET_API MOTET_MUST_USE enum motet_err
motet_port_migrate(struct motet_port *port, const char *to, unsigned flags,
                   int64_t timeout_ms);

/* A move that was begun. A plain value: nothing is released. */
struct motet_move {
    struct motet_ui site; /* that the port moves away from */
    uint64_t id;          /* there; 0: to another actor of the same site, which
                           * is over at once */
};

struct motet_move_info {
    bool over;
    enum motet_err err; /* once over: OK, or why it did not move */
    uint32_t ports;
    uint32_t queued; /* messages that were queued when it was frozen */
    uint64_t bytes;  /* of all that went along */
    /* Since it was asked for, ns; 0 = not yet. */
    uint64_t frozen_ns;
    uint64_t sent_ns;
    uint64_t prepared_ns; /* the other site has it: it is committed */
    uint64_t over_ns;
};

/**
 * Begins to move any port, wherever it lives, by its capability.
 *
 * @param port        an operator (root, or the user of its site) may leave the
 *                    key 0
 * @param timeout_ms  for finding it and asking its site
 * @param move        set on success, by which to ask for it
 * @return as motet_port_migrate() as far as can be told at once; PERMISSION:
 *         not its capability. MAYBE_...: it may have begun
 */
MOTET_API MOTET_MUST_USE enum motet_err
motet_migrate_start(struct motet *m, const struct motet_cap *port,
                    const char *to, unsigned flags, int64_t timeout_ms,
                    struct motet_move *move);

/** Waits for the end of a move. @param info  set (but where the site is not
 * heard) to how far it is; may be NULL
 * @return as it ended; TIMEOUT: it is under way (0: only looks); STATE: it is
 *         not known (any more: a site remembers its last 256) */
MOTET_API MOTET_MUST_USE enum motet_err
motet_migrate_wait(struct motet *m, const struct motet_move *move,
                   struct motet_move_info *info, int64_t timeout_ms);

/** Gives a move up: it ends with CANCELLED. @return STATE: it is committed, or
 * over; PERMISSION: another user began it */
MOTET_API MOTET_MUST_USE enum motet_err
motet_migrate_abort(struct motet *m, const struct motet_move *move,
                    int64_t timeout_ms);

/* ---- groups ----------------------------------------------------------------
 */

struct motet_member {
    struct motet_ui port;
    struct motet_ui site; /* where it lives */
};

/** The static group called `name`, or a new dynamic group for NULL. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_group(struct motet *m, const char *name, struct motet_cap *group);

/** Twice is OK. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_group_insert(struct motet_port *port, const struct motet_cap *group);

/** @return NO_MEMBER if it was none */
MOTET_API MOTET_MUST_USE enum motet_err
motet_group_remove(struct motet_port *port, const struct motet_cap *group);

/**
 * The members of a group as known here, in order of arrival.
 *
 * @param members  room for `max` of them
 * @param count    set to how many were written; less than `max`: that is all
 */
MOTET_API MOTET_MUST_USE enum motet_err
motet_group_list(struct motet *m, struct motet_ui group,
                 struct motet_member *members, size_t max, size_t *count);

/* ---- what to send, and where -----------------------------------------------
 */

/** One member of the static group called `name`. */
MOTET_API struct motet_dest motet_to(const char *name);
/** Likewise; waits for a first member until the deadline. */
MOTET_API struct motet_dest motet_to_waiting(const char *name);
/** A port, or one member of a group. */
MOTET_API struct motet_dest motet_to_ui(struct motet_ui ui);
/** All members known now; for sends only. */
MOTET_API struct motet_dest motet_to_all(struct motet_ui group);
/** The control port of a site. */
MOTET_API struct motet_dest motet_to_control(struct motet_ui site);

/** A message without annex. Borrows `body` until the call returns. */
MOTET_API struct motet_out motet_body(const void *body, size_t size);
MOTET_API struct motet_out motet_annexed(const void *annex, size_t annex_size,
                                         const void *body, size_t size);

/* ---- sending ---------------------------------------------------------------
 */

/**
 * Sends one message and waits for its outcome: OK, it is in the owner's queue
 * (or an error that says that it is not, or MAYBE is). Where there is no room
 * it waits for it until the deadline.
 */
MOTET_API MOTET_MUST_USE enum motet_err motet_send(struct motet_port *from,
                                                   struct motet_dest to,
                                                   struct motet_out out,
                                                   int64_t timeout_ms);

/** Likewise; where there is no room it returns AGAIN at once, and
 * MOTET_EVENT_ROOM follows when half of the queue is free. */
MOTET_API MOTET_MUST_USE enum motet_err motet_try_send(struct motet_port *from,
                                                       struct motet_dest to,
                                                       struct motet_out out,
                                                       int64_t timeout_ms);

/** As motet_send(), with a body of at most MOTET_PARTS_MAX pieces. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_sendv(struct motet_port *from, struct motet_dest to,
            struct motet_bytes annex, const struct motet_bytes *parts,
            size_t count, int64_t timeout_ms);

/** Hands a message to the site and does not wait: MOTET_EVENT_SENT with `token`
 * tells the outcome, exactly once.
 * @return OK: begun; else nothing was sent and no event follows */
MOTET_API MOTET_MUST_USE enum motet_err
motet_send_start(struct motet_port *from, struct motet_dest to,
                 struct motet_out out, int64_t timeout_ms, uint64_t token);

/* ---- receiving -------------------------------------------------------------
 */

enum motet_msg_kind {
    MOTET_MSG_MESSAGE = 1,
    MOTET_MSG_CALL, /* a reply is owed */
    MOTET_MSG_NEWS, /* of a watch: watch, news, subject; no body */
};

/* A message. Annex and body are borrowed from the library: until the next
 * receive on the same attachment, or motet_msg_free(); of a reply, until the
 * next motet_call(). The struct may be copied. */
struct motet_msg {
    enum motet_msg_kind kind;
    struct motet *motet;
    struct motet_port *port; /* of mine, that it came on; NULL for a reply */
    struct motet_ui source;  /* whose it is */
    struct motet_ui target;  /* as the sender wrote it: a group, or zero */
    struct motet_pi pi;      /* of the sender, stamped by its nucleus */
    uint64_t seq;            /* ordinal on the port, from 1 */
    uint32_t remaining_ms;   /* of a call: to its deadline, 0 = none */
    uint64_t held;           /* of a call: what the reply refers to */
    uint64_t watch;
    enum motet_news news;
    struct motet_ui subject;
    const void *annex;
    size_t annex_bytes;
    const void *body;
    size_t body_bytes;
    uint64_t memory; /* the library's */
};

/** The next message of one port, enabled or not.
 * @return CLOSED: it has ended; MOVED: it has moved away, and what came before
 * is received */
MOTET_API MOTET_MUST_USE enum motet_err motet_receive(struct motet_port *port,
                                                      struct motet_msg *msg,
                                                      int64_t timeout_ms);

/** The next message of any enabled port. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_receive_any(struct motet *m, struct motet_msg *msg, int64_t timeout_ms);

/** Frees annex and body now instead of later. NULL is allowed. */
MOTET_API void motet_msg_free(struct motet_msg *msg);

/**
 * Answers a call; does not wait.
 *
 * @return STATE: not a call, or its caller is known to have given up; this is
 *         harmless, as is a second answer. TOO_BIG: still to be answered
 */
MOTET_API enum motet_err motet_reply(const struct motet_msg *msg,
                                     const void *body, size_t size);
MOTET_API enum motet_err motet_reply_out(const struct motet_msg *msg,
                                         struct motet_out out);

/** Answers a call with an error, one that says that it was not executed.
 * @return INVALID for any other */
MOTET_API enum motet_err motet_refuse(const struct motet_msg *msg,
                                      enum motet_err why);

/** Hands a call on, with its caller's identity and remaining time; the other
 * answers it. Refused: it is still held here. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_forward(const struct motet_msg *msg, struct motet_dest to);

/** Keeps a message, its annex and its body, for a deferred reply. `msg` stays
 * as it is. @param id  set; STATE: its memory is gone already */
MOTET_API MOTET_MUST_USE enum motet_err motet_save(const struct motet_msg *msg,
                                                   uint64_t *id);

/** Gives a kept message back; motet_msg_free() or motet_detach() releases it.
 * @return STATE: not kept under this id (any more) */
MOTET_API MOTET_MUST_USE enum motet_err
motet_restore(struct motet *m, uint64_t id, struct motet_msg *msg);

/* ---- calls -----------------------------------------------------------------
 */

/** Calls from motet_own_port() and waits for the reply.
 * @param reply  set on success; NULL: not wanted */
MOTET_API MOTET_MUST_USE enum motet_err
motet_call(struct motet *m, struct motet_dest to, struct motet_out out,
           struct motet_msg *reply, int64_t timeout_ms);

/** Likewise from a port of one's choice: in order with its other messages. */
MOTET_API MOTET_MUST_USE enum motet_err motet_call_from(struct motet_port *from,
                                                        struct motet_dest to,
                                                        struct motet_out out,
                                                        struct motet_msg *reply,
                                                        int64_t timeout_ms);

/** Begins a call: MOTET_EVENT_CALL_DONE with `token` and *call follows, exactly
 * once. @return OK: begun; else nothing was sent and no event follows */
MOTET_API MOTET_MUST_USE enum motet_err
motet_call_start(struct motet_port *from, struct motet_dest to,
                 struct motet_out out, int64_t timeout_ms, uint64_t token,
                 uint64_t *call);

/** Ends a call begun: it completes with (MAYBE_)CANCELLED.
 * @return STATE: it has completed already */
MOTET_API MOTET_MUST_USE enum motet_err motet_cancel(struct motet *m,
                                                     uint64_t call);

/* ---- watches and events ----------------------------------------------------
 */

/** Watches a port, a group or a site. News come to `port` as MOTET_MSG_NEWS,
 * behind all that was queued there before. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_watch(struct motet_port *port, struct motet_ui subject, uint64_t *watch);

/** Ends a watch: no news of it will be queued any more. */
MOTET_API MOTET_MUST_USE enum motet_err motet_unwatch(struct motet *m,
                                                      uint64_t watch);

/**
 * The next event: SENT, CALL_DONE, CANCELLED, ROOM, PORT_GONE, PORT_ADOPTED,
 * PORT_MOVED (never NEWS).
 *
 * @param event  its `reply` is borrowed until the next motet_event()
 */
MOTET_API MOTET_MUST_USE enum motet_err
motet_event(struct motet *m, struct motet_event *event, int64_t timeout_ms);

/* ---- in a foreign event loop -----------------------------------------------
 */

/** A descriptor that is readable (poll, epoll) when there is something to do:
 * call motet_dispatch(), then motet_event() and motet_receive_any() with 0
 * until they say TIMEOUT. Lives as long as `m`. @return -1 if there is none */
MOTET_API int motet_fd(struct motet *m);

/** Takes in what has arrived, without waiting. @return DETACHED: the site is
 * lost, and all that was outstanding has ended as events */
MOTET_API MOTET_MUST_USE enum motet_err motet_dispatch(struct motet *m);

/** Keeps `count` receives from any enabled port outstanding (at most 128), so
 * that messages come without being asked for, and the descriptor becomes
 * readable when one does. Messages that came are this program's: a time-out of
 * a call runs on. 0: only what motet_receive() asks for. */
MOTET_API MOTET_MUST_USE enum motet_err motet_prefetch(struct motet *m,
                                                       uint32_t count);

#endif
