#ifndef API_CLIENT_H
#define API_CLIENT_H

#include <motet/motet.h>
#include <sys/uio.h>

#include "nucleus/base/deadline.h"
#include "nucleus/base/list.h"
#include "nucleus/base/map.h"
#include "nucleus/base/mem.h"
#include "proto/attach.h"

/* The inside of the client library.
 *
 *   path.c      where sockets are
 *   where.c     which one is meant
 *   client.c    attach, detach
 *   stream.c    packets in and out, the loss of the site
 *   arrive.c    frames of the site -> letters, results, events
 *   request.c   requests and their answers
 *   moved.c     ports that move to or from here
 *   migrate.c   moving them: calls to control ports
 *   port.c group.c send.c receive.c reply.c call.c event.c loop.c
 *               the public functions */

enum {
    PATIENCE_MS =
        10000,       /* a site that does not answer at once by then is lost */
    LOCAL_MS = 1000, /* for the way to the site where the caller waits 0 */
    GRACE_MS =
        10, /* after a deadline, for the site's word that it passed (P4) */
    PREFETCH_MAX = 128,
};

/* A message that came in. */
struct letter {
    struct list link;
    struct motet_port *on; /* NULL: deleted since, or a reply */
    uint64_t memory;       /* names it towards the program; never reused */
    uint64_t arrived_ns;
    struct motet_ui port;
    struct motet_ui source;
    struct motet_ui target;
    struct motet_ui subject;
    struct motet_pi pi;
    uint64_t held;
    uint64_t seq;
    uint64_t watch;
    uint32_t remaining_ms;
    uint32_t news;
    uint32_t total;
    uint8_t annex_bytes;
    uint8_t data[];
};

/* What the site owes an answer, or an event that waits for the program. */
struct request {
    struct list link; /* of m->requests or m->events */
    uint64_t id;      /* 0: nobody's answer any more */
    enum attach_op op;
    bool async; /* on the heap; its answer becomes an event (or a letter) */
    bool done;
    struct attach_frame result; /* of a synchronous one; its members point into
                                 * the last packet */
    struct letter *letter;      /* the reply of a call */
    struct motet_ui port;       /* RECEIVE: 0 = any; SEND, CALL: from which */
    bool prefetch;              /* RECEIVE */
    struct motet_event event;   /* of an asynchronous one */
    struct motet_view view;
};

struct motet_port {
    struct list link;
    struct motet *motet;
    struct motet_cap cap;
    bool enabled;
    bool moved; /* another owns it: only what came before is here */
    uint8_t priority;
    uint32_t queue_msgs_max;
    uint32_t queue_bytes_max;
    void *data;
};

struct motet {
    int fd;
    bool lost;
    bool any_moved; /* a port has left, ever */
    bool frozen;    /* the site does not listen: a port moves */
    bool patient;   /* what is written now waits for that */
    struct mem mem;
    struct motet_ui actor;
    struct motet_ui site;
    char site_name[MOTET_NAME_MAX + 1];
    uint32_t body_max;
    uint64_t last_id;
    uint64_t last_memory;
    enum motet_err greeted; /* what GONE said before the answer to HELLO */

    struct list requests;
    struct map by_id;
    struct list ports;
    struct map by_ui;
    struct motet_port *own;

    struct list inbox;   /* letters not yet received */
    struct list orphans; /* letters of deleted ports, to be declined */
    struct list saved;   /* letters kept by motet_save() */
    struct list events;  /* requests that are events now */
    struct letter *received;
    struct letter *replied;
    struct request *told; /* the last event */
    uint32_t prefetch;
    uint32_t prefetching; /* requests outstanding for it */
    uint32_t inbox_count;
    uint64_t ended_id; /* the last RECEIVE_END */
    enum motet_err ended_err;

    struct attach_gather gather; /* of what comes in */
    struct letter *coming;
    struct attach_frame begun;
    enum attach_op void_op; /* a message broken off: to be taken back first */
    uint64_t void_id;

    int epoll_fd; /* -1: motet_fd() was never called */
    int event_fd;
    bool signalled;
    uint8_t packet[ATTACH_PACKET_MAX + 1];
    uint8_t zeroes[ATTACH_PACKET_MAX]; /* what NULL stands for; not touched */
};

/* ---- path.c, where.c -------------------------------------------------------
 */

/** Whether `path` is a folder of this user alone, or of root. */
bool path_is_ours(const char *path);
/** Connects to what is meant. @return a descriptor, or -1 and *err */
int where_connect(const char *where, enum motet_err *err);

/* ---- stream.c --------------------------------------------------------------
 */

uint64_t now_ns(void);
/** The absolute time `timeout_ms` from now, DEADLINE_NEVER for ever. */
uint64_t after_ms(int64_t timeout_ms);
/** ms until then, rounded up; MOTET_FOREVER for ever, 0 if it has passed. */
int64_t ms_until(uint64_t at_ns);

/**
 * Writes a frame with a payload of `count` pieces, taking in what arrives while
 * the site does not read.
 *
 * @return TIMEOUT: not (wholly) written by then, the message is void;
 *         DETACHED: likewise
 */
MUST_USE enum motet_err stream_write(struct motet *m,
                                     const struct attach_frame *f,
                                     const struct motet_bytes *parts,
                                     size_t count, uint64_t by_ns);

/** Likewise for what the site takes in at once, if it listens. Not written: the
 * site is lost. @return DETACHED */
MUST_USE enum motet_err stream_say(struct motet *m,
                                   const struct attach_frame *f,
                                   const struct motet_bytes *parts,
                                   size_t count);

/** Waits for at most one packet and takes it in.
 * @return TIMEOUT, DETACHED */
MUST_USE enum motet_err stream_read(struct motet *m, uint64_t by_ns);

/** The site is lost: all that is outstanding ends. */
void stream_lose(struct motet *m);

/* ---- arrive.c --------------------------------------------------------------
 */

/** Takes in one packet. @return false: the site must not be believed */
MUST_USE bool arrive(struct motet *m, size_t size);

/* ---- request.c -------------------------------------------------------------
 */

void letter_free(struct motet *m, struct letter *letter);

/** Registers; gives it the next id. @return false: no memory */
MUST_USE bool request_add(struct motet *m, struct request *r,
                          enum attach_op op);
void request_remove(struct motet *m, struct request *r);
/** A new asynchronous one, registered. NULL: no memory */
struct request *request_new(struct motet *m, enum attach_op op);
void request_free(struct motet *m, struct request *r);
/** Makes an asynchronous one an event of `kind`. */
void request_tell(struct motet *m, struct request *r,
                  enum motet_event_kind kind, enum motet_err err);

/**
 * Asks the site for what it does at once. `f` says what; `r` is filled in.
 *
 * @return what the site answered; DETACHED if it did not
 */
MUST_USE enum motet_err request_ask(struct motet *m, struct attach_frame *f,
                                    struct request *r);

/* ---- receive.c, loop.c -----------------------------------------------------
 */

/** Brings the outstanding receives to what motet_prefetch() asked for. */
enum motet_err receive_top_up(struct motet *m);
/** A port has come, or gone. @return false: no memory, or nonsense */
MUST_USE bool port_adopted(struct motet *m, const struct attach_frame *f);
MUST_USE bool port_moved(struct motet *m, const struct attach_frame *f);
/** `err`, or MOVED where that is what it means. */
enum motet_err moved_err(const struct motet *m, const struct request *r,
                         enum motet_err err);
/** Declines the orphans: calls among them were not executed. */
void receive_decline(struct motet *m);
/** Makes orphans of what has come for a port. */
void receive_forget(struct motet *m, struct motet_port *port);
/** The descriptor shows whether letters or events wait. */
void loop_signal(struct motet *m);

/** Fills in a message of the program's from a letter. */
void letter_show(struct motet *m, struct letter *letter, struct motet_msg *msg);

/** What is sent, as pieces; checks sizes. @return INVALID, TOO_BIG */
MUST_USE enum motet_err out_parts(const struct motet *m,
                                  const struct motet_out *out,
                                  struct motet_bytes parts[2],
                                  struct attach_frame *f);

static inline struct motet_port *port_find(const struct motet *m,
                                           struct motet_ui ui)
{
    return map_get(&m->by_ui, ui.hi, ui.lo);
}

#endif
