#ifndef MOTET_SUPERVISOR_H
#define MOTET_SUPERVISOR_H

#include <motet/err.h>
#include <motet/types.h>

/* Supervisor actors: event-driven code inside a site's process. The same table
 * of functions runs in motetd, in a program that embeds a site, and in the
 * simulator. Its functions run one at a time on the site's loop and must not
 * block. They may call the functions below, with the `self` they were given, at
 * any time in between; no function of the table is ever called from inside one
 * of those calls.
 *
 * An actor has the clock and the chance of its site (motet_actor_now_ns(),
 * motet_actor_random()) and must use no other, or its runs cannot be repeated.
 */

struct motet_self;

/* A message handed to an actor. All pointers are borrowed until the function
 * returns. */
struct motet_view {
    struct motet_ui port; /* of mine, that it came on */
    struct motet_ui
        source; /* whose it is: a reply to a plain send goes there */
    struct motet_ui target; /* as the sender wrote it: a group, or zero */
    struct motet_pi pi;     /* of the sender, stamped by its nucleus */
    uint64_t held;          /* not 0: a call; answer it by this */
    uint64_t seq;           /* ordinal on the port, from 1 */
    uint32_t remaining_ms;  /* of a call: time left to its deadline, 0 = none */
    const void *annex;
    size_t annex_bytes;
    const void *body;
    size_t body_bytes;
};

enum motet_event_kind {
    MOTET_EVENT_SENT = 1,     /* token, err: the outcome of a send */
    MOTET_EVENT_CALL_DONE,    /* call, err; reply when err is MOTET_OK */
    MOTET_EVENT_NEWS,         /* watch, news, subject */
    MOTET_EVENT_CANCELLED,    /* held: its caller gave up; no reply is owed */
    MOTET_EVENT_ROOM,         /* source (mine), dest: room again after AGAIN;
                               * not after a move: try again when a port is
                               * adopted */
    MOTET_EVENT_PORT_GONE,    /* port: ended, not at my request */
    MOTET_EVENT_PORT_ADOPTED, /* port, cap, seq: it is mine from now on; what
                               * comes on it has a higher seq. With an actor
                               * that moved: one for each of its ports, first of
                               * all */
    MOTET_EVENT_PORT_MOVED,   /* port: it is another's now. What I still hold of
                               * it I may answer, and am not told when its
                               * caller gives up; outcomes of what I sent and
                               * called from it come to its new owner */
};

struct motet_event {
    enum motet_event_kind kind;
    enum motet_err err;
    struct motet_ui port;
    struct motet_ui dest;
    struct motet_ui subject;
    enum motet_news news;
    uint64_t token;
    uint64_t call;
    uint64_t held;
    uint64_t watch;
    uint64_t seq;
    struct motet_cap cap;
    const struct motet_view *reply; /* borrowed; NULL unless a reply came */
};

struct motet_supervisor {
    const char *name;   /* of the kind of actor; "echo" */
    size_t state_bytes; /* zeroed memory for each actor, freed after on_stop */

    /** First of all. An error stops the actor; `args` may be NULL. */
    enum motet_err (*on_start)(struct motet_self *self, void *state,
                               const char *args);
    void (*on_message)(struct motet_self *self, void *state,
                       const struct motet_view *view);
    void (*on_event)(struct motet_self *self, void *state,
                     const struct motet_event *event); /* may be NULL */
    void (*on_timer)(struct motet_self *self, void *state,
                     uint64_t timer);                      /* may be NULL */
    void (*on_stop)(struct motet_self *self, void *state); /* may be NULL */

    /** Optional, both or none, for actors that move with their state. save()
     * returns how many bytes it needs, and writes them if `size` is that many.
     * restore() takes them into the zeroed state of an actor of the same kind
     * at the other site, in place of on_start(); false: it cannot, and the move
     * is refused. Timers, ports, calls, watches and requests owed a reply come
     * along under the same ids. An actor that has moved is not stopped:
     * on_stop() is not called where it was. */
    size_t (*save)(const void *state, void *out, size_t size);
    bool (*restore)(void *state, const void *in, size_t size);

    /** Optional, for actors that take ports of others: whether to take this
     * one. NULL: none. MOTET_EVENT_PORT_ADOPTED follows if it comes. */
    bool (*on_adopt)(struct motet_self *self, void *state,
                     struct motet_ui port);
};

struct motet_bytes {
    const void *data; /* borrowed, copied by the call; NULL: zeroes */
    size_t size;
};

/* A body that a supervisor actor fills once and sends without a copy, as often
 * and to as many as it likes; see motet_actor_block(). */
struct motet_block;

/* What to send. */
struct motet_out {
    struct motet_bytes annex; /* at most MOTET_ANNEX_MAX */
    struct motet_bytes body;
    struct motet_block *block; /* of a supervisor actor: the whole message,
                                * instead of the two above; else NULL. Programs
                                * that are attached have none: INVALID */
};

/** This actor's UI; its site's UI; its site's name (static for the run). */
MOTET_API struct motet_ui motet_actor_ui(const struct motet_self *self);
MOTET_API struct motet_ui motet_actor_site(const struct motet_self *self);
MOTET_API const char *motet_actor_site_name(const struct motet_self *self);

/** Monotonic nanoseconds, of any epoch; virtual in the simulator. */
MOTET_API uint64_t motet_actor_now_ns(const struct motet_self *self);

/** Seeded; not for secrets. */
MOTET_API uint64_t motet_actor_random(struct motet_self *self);

/** A port of this actor, enabled. @return LIMIT, NO_MEMORY */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_port_new(struct motet_self *self, struct motet_cap *cap);

/** As above with limits of its own; 0 = the default of the site. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_port_new_limited(struct motet_self *self, uint32_t queue_msgs_max,
                             uint32_t queue_bytes_max, struct motet_cap *cap);

/** Ends a port: queued messages are lost, calls among them NOT_EXECUTED. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_port_end(struct motet_self *self, struct motet_ui port);

/** Enabled: messages are delivered. Disabled: they queue. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_port_enable(struct motet_self *self, struct motet_ui port,
                        bool enabled, uint8_t priority);

/** The static group called `name`, or a new dynamic group for NULL. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_group(struct motet_self *self, const char *name,
                  struct motet_cap *cap);

MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_join(struct motet_self *self, const struct motet_cap *group,
                 struct motet_ui port);

MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_leave(struct motet_self *self, const struct motet_cap *group,
                  struct motet_ui port);

/**
 * A block of `size` bytes, zeroed. For large bodies: to copy 16 MiB takes
 * milliseconds, in which nothing else happens at a site.
 *
 * @param block  set on success, with *bytes to fill. Once it was sent it must
 *               not be written again: it may be on its way for long
 * @return NO_MEMORY at the cap of the site; TOO_BIG: no message may be as
 *         large; INVALID: nothing
 *
 * Ownership: the actor's, until motet_actor_block_free() or its end. What was
 * sent of it arrives all the same. It does not move with the actor.
 */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_block(struct motet_self *self, size_t size,
                  struct motet_block **block, void **bytes);

/** Gives a block of this actor back. NULL is allowed; a block of another actor
 * ends the site, as any fault in its code does. */
MOTET_API void motet_actor_block_free(struct motet_self *self,
                                      struct motet_block *block);

/**
 * Sends one message from `port`, a port of this actor.
 *
 * @param timeout_ms  until its outcome; MOTET_FOREVER
 * @param token       given back with MOTET_EVENT_SENT; 0 asks for that event
 *                    only when the message does not end accepted
 * @return MOTET_OK: taken; else nothing was sent. AGAIN: no room;
 *         MOTET_EVENT_ROOM follows when there is. INVALID also where `out` has
 *         a block that is not this actor's, or one and a body
 */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_send(struct motet_self *self, struct motet_ui port,
                 const struct motet_dest *dest, const struct motet_out *out,
                 int64_t timeout_ms, uint64_t token);

/**
 * Calls; MOTET_EVENT_CALL_DONE with *call follows exactly once.
 *
 * @return MOTET_OK: begun; else nothing was sent and no event follows
 */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_call(struct motet_self *self, struct motet_ui port,
                 const struct motet_dest *dest, const struct motet_out *out,
                 int64_t timeout_ms, uint64_t *call);

MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_cancel(struct motet_self *self, uint64_t call);

/** Answers a call. @return STATE if its caller gave up meanwhile */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_reply(struct motet_self *self, uint64_t held,
                  const struct motet_out *out);

/** Hands a call on; the other answers it. Refused: it is still held. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_forward(struct motet_self *self, uint64_t held,
                    const struct motet_dest *dest);

/** Watches a port, a site or a group; the news come as MOTET_EVENT_NEWS,
 * behind all that was queued on `port` before. */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_watch(struct motet_self *self, struct motet_ui port,
                  struct motet_ui subject, uint64_t *watch);

MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_unwatch(struct motet_self *self, uint64_t watch);

/** One call of on_timer(timer) after at least `after_ns`. A second one with the
 * same `timer` moves it. @return LIMIT (64 timers an actor), NO_MEMORY */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_timer(struct motet_self *self, uint64_t timer, uint64_t after_ns);

/** Members of a group as known here, in order of arrival.
 * @return NO_MEMBER past the last */
MOTET_API MOTET_MUST_USE enum motet_err
motet_actor_member(struct motet_self *self, struct motet_ui group,
                   uint32_t index, struct motet_ui *port);

/** Ends this actor after the function that is running; on_stop() follows. */
MOTET_API void motet_actor_end(struct motet_self *self);

/* Helpers for UIs, also in the client library. */
MOTET_API bool motet_ui_equal(struct motet_ui a, struct motet_ui b);
MOTET_API struct motet_ui motet_ui_of_name(const char *name);
MOTET_API struct motet_ui motet_ui_of_site(uint64_t site);
/** The site where `ui` was born, as a number to print; it may live elsewhere.
 */
MOTET_API uint64_t motet_ui_birth_site(struct motet_ui ui);
/** Writes MOTET_UI_TEXT_MAX bytes at most: "5f0c2e81.6a1b.12" and returns
 * `text`. */
MOTET_API const char *motet_ui_text(struct motet_ui ui,
                                    char text[MOTET_UI_TEXT_MAX]);
/** Reads what motet_ui_text() wrote. @return false for anything else */
MOTET_API bool motet_ui_parse(const char *text, struct motet_ui *ui);

#endif
