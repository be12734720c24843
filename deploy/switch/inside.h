#ifndef SWITCH_INSIDE_H
#define SWITCH_INSIDE_H

#include <jansson.h>
#include <motet/types.h>
#include <stdio.h>
#include <uv.h>

#include "client.h"
#include "deploy/fault/fate.h"
#include "deploy/fault/text.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/list.h"
#include "nucleus/base/map.h"

/* The inside of motet-switch.
 *
 *   bridge.c     frames: from a port, through links, to ports; learns addresses
 *   reset.c      frames that end their connection
 *   port.c       what the kinds of ports have in common; guests' sockets
 *   tap.c        TAP devices and network namespaces
 *   relay.c      doors for processes of this host, a port for each
 *   session.c    streams between them, through links
 *   datagram.c   datagrams between them
 *   faults.c     links as they are set, and the faults over them
 *   capture.c    pcapng
 *   control.c    the control socket
 *   answers.c    what it answers
 *   watch.c      descriptors and time
 *   main.c       the program
 *
 * One thread, one loop; it sleeps until something comes or is due. */

enum {
    FRAME_MAX = 65536,  /* bytes; a guest may use jumbo frames */
    FRAME_MIN = 14,     /* an Ethernet header */
    READS_MAX = 64,     /* frames of a port before others get a turn */
    WAITING_MAX = 1024, /* frames that a slow port lets wait */
    HELD_MAX = 1024,    /* frames that a clogged link holds */
    MACS_MAX = 4096,    /* addresses learned; beyond it frames are flooded */
    MEMORY_MAX = 256 << 20, /* bytes of all frames and pieces on their way */
    NAME_BYTES = MOTET_NAME_MAX + 1,
    PORTS_MAX = SWITCH_PORTS_MAX,
    WHY_MAX = 256,
};

enum due { DUE_FRAME = 1, DUE_FAULT, DUE_PIECE, DUE_DATAGRAM };

struct net;
struct port;

/* A descriptor that is waited for. */
struct watch {
    uv_poll_t poll;
    int fd;
    int events;
    void (*on_ready)(void *ctx, int events);
    void *ctx;
};

enum sent { SENT_DONE, SENT_LATER, SENT_NOBODY };

struct port_kind {
    const char *name;
    enum sent (*send)(struct port *p, const uint8_t *bytes, size_t size);
    void (*close)(struct port *p);
};

/* A frame on its way, or waiting. */
struct frame {
    struct deadline due;
    struct list link; /* of a clogged link, or of a port that is slow */
    struct net *net;
    uint32_t from;
    uint32_t to;
    uint32_t life; /* of the port it goes to */
    size_t size;
    uint8_t bytes[];
};

struct relay;

struct port {
    struct net *net;
    uint32_t index;
    uint32_t life;         /* counts ports that were here */
    char name[NAME_BYTES]; /* "": none is here */
    char last[NAME_BYTES]; /* the name of the last one: its links wait for it */
    const struct port_kind *kind;
    struct watch *watch;    /* its frames */
    struct watch *listener; /* of a stream */
    char path[108];         /* of its socket, to be removed */
    char peer[108];
    bool connected;
    uint8_t *in; /* of a stream: a frame that is not complete, FRAME_MAX + 4 */
    size_t in_size;
    uint8_t *out; /* likewise, what is left of one */
    size_t out_size;
    int netns; /* -1 = none */
    char netns_path[64];
    char mac[18];
    struct relay *relay;
    struct list waiting;
    uint32_t waiting_count;
    uint64_t rx, tx, lost;
};

/* One direction of a link. */
struct link {
    struct fate_link fate;
    struct fate_params set; /* as it is without faults */
    struct list held;
    uint32_t held_count;
};

struct named_fault {
    struct deadline end;
    struct list link;
    struct net *net;
    char name[NAME_BYTES];
    char from[SWITCH_LINE_MAX / 4];
    char to[SWITCH_LINE_MAX / 4];
    bool both;
    struct fate_change change;
};

struct capture {
    FILE *file;
    uint32_t port; /* PORTS_MAX: all */
};

struct net {
    uv_loop_t loop;
    struct mem mem;
    struct deadlines due;
    struct watch *timer;
    struct port ports[PORTS_MAX];
    struct link (*links)[PORTS_MAX];
    uint64_t seed;
    struct map macs; /* (address, 0) -> struct port * */
    struct list faults;
    uint32_t fault_count;
    struct capture capture;
    struct list relayed; /* struct session of session.c */
    uint32_t relayed_count;
    bool keep;   /* outlives who started it */
    bool ending; /* has been told to end */
    struct control *control;
};

/* ---- watch.c ---------------------------------------------------------------
 */

uint64_t net_now(void);
/** Takes `fd`. */
struct watch *watch_new(struct net *n, int fd,
                        void (*on_ready)(void *ctx, int events), void *ctx);
/** Of UV_READABLE, UV_WRITABLE. */
void watch_for(struct watch *w, int events);
/** Closes the descriptor; NULL is allowed. */
void watch_free(struct watch *w);
/** The clock of what is due. @return false with errno */
MUST_USE bool timer_start(struct net *n);
/** After deadlines were armed outside of a timer's turn. */
void timer_arm(struct net *n);

/* ---- bridge.c --------------------------------------------------------------
 */

void bridge_init(struct net *n);
void bridge_fini(struct net *n);
/** A frame came from a port. */
void bridge_frame(struct port *from, const uint8_t *bytes, size_t size);
/** It is time for a frame that was delayed. */
void bridge_due(struct frame *f);
/** A port can be written again. */
void bridge_writable(struct port *p);
/** What the link holds goes on, if it is clogged no longer. */
void bridge_release(struct net *n, struct link *l);
/** Forgets all of a port that is going. */
void bridge_forget(struct port *p);

/* ---- reset.c ---------------------------------------------------------------
 */

/** A frame; if it is a segment of TCP, as the end of its connection: a copy,
 * until the next call. */
const uint8_t *reset_frame(const uint8_t *bytes, size_t size);

/* ---- port.c, tap.c, relay.c ------------------------------------------------
 */

struct port *port_find(struct net *n, const char *name);
/** Whether there is or was a port of that name. */
bool port_known(struct net *n, const char *name);
/** Adds a port: the words behind "port". @return NULL and why */
struct port *port_add(struct net *n, char **words, size_t count, char *why);
void port_remove(struct port *p);
/** A port (`ctx`) whose descriptor takes and gives one frame at a time can be
 * written or read. */
void port_ready(void *ctx, int events);

/** Opens the ports of a kind: the words behind it. @return false and why */
bool tap_open(struct port *p, char **words, size_t count, char *why);
bool namespace_open(struct port *p, char **words, size_t count, char *why);
bool relay_open(struct port *p, char **words, size_t count, char *why);
extern const struct port_kind tap_kind, namespace_kind, relay_kind;

struct piece;
struct datagram;
void relay_due(struct piece *p);
/** The links have changed. */
void relay_relinked(struct net *n);
void datagram_due(struct datagram *d);

/* ---- faults.c --------------------------------------------------------------
 */

/** Sets links. @return false and why */
bool links_set(struct net *n, const char *from, const char *to, char **words,
               size_t count, char *why);
/** Adds or replaces a fault; `for_ns` 0: until it is healed. */
bool fault_add(struct net *n, const char *name, const char *from, bool both,
               const char *to, uint64_t for_ns, char **words, size_t count,
               char *why);
void fault_end(struct named_fault *f);
struct named_fault *fault_find(struct net *n, const char *name);
/** Ends those that touch both. @return how many */
uint32_t faults_heal(struct net *n, const char *from, const char *to);
/** All links anew, from what is set and the faults over it. */
void links_make(struct net *n);
/** New generators, from the seed; statistics begin at 0. */
void links_seed(struct net *n, uint64_t seed);
/** Whether a port or a fault may be called so. */
bool name_ok(const char *name);
/** Whether a word for ports (a name, several, "*") means this one. */
bool names_match(const char *names, const char *name);
/** @return false and why, if it names a port that is not there */
bool names_known(struct net *n, const char *names, char *why);

/* ---- capture.c -------------------------------------------------------------
 */

bool capture_open(struct net *n, const char *file, uint32_t port, char *why);
void capture_close(struct net *n);
void capture_sent(struct port *from, const uint8_t *bytes, size_t size,
                  const char *comment);
void capture_got(struct port *to, const uint8_t *bytes, size_t size);

/* ---- control.c, answers.c --------------------------------------------------
 */

/** @return false and why */
bool control_open(struct net *n, const char *path, char *why);
void control_close(struct net *n);
/** Answers one line; it is cut up. Gives. */
json_t *control_answer(struct net *n, char *line);
/** Ends the loop. */
void net_quit(struct net *n);

#endif
