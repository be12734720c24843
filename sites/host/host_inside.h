#ifndef HOST_INSIDE_H
#define HOST_INSIDE_H

#include "attach.h"
#include "host.h"
#include "log.h"
#include "state.h"

/* The inside of a host.
 *
 *   host.c            lives, turns, the beginning and the end
 *   host_transport.c  what comes from the network */

enum { HOST_ACTORS_MAX = 32 };

struct host_spawn {
    const struct motet_supervisor *table;
    const char *name;
    const char *args;
};

struct host {
    const struct config *cfg;
    uv_loop_t loop;
    uv_prepare_t turn;
    uv_idle_t busy; /* active while there is work left: no sleep then */
    uv_timer_t timer;
    uv_timer_t status;
    uv_timer_t leaving;
    uv_async_t stop;
    struct state state;
    struct log log;
    struct transport *transport;
    struct attach *attach;
    struct site *site;
    struct trace_record *ring;
    struct path_aead *aead;
    uint64_t site_id;
    uint64_t due_ns;   /* of what is next */
    uint64_t armed_ns; /* of the timer; 0 = it is not */
    uint64_t watchdog_at_ms;
    uint32_t least; /* incarnation to be reborn with */
    uint32_t lives; /* from 1 */
    size_t fed;     /* bytes read since the site last worked */
    uint32_t stops;
    bool rebirth;
    bool ready;
    bool closing;
    enum host_end end;
    char why[CONFIG_WHY_MAX];
    struct host_spawn spawns[HOST_ACTORS_MAX];
    uint32_t spawn_count;
};

/** An input for the site that lives, at this moment; none lives: dropped. */
void host_feed(struct host *h, struct site_in *in);
/** The site does what it can now, and its effects are carried out. */
void host_work(struct host *h);

/* ---- host_transport.c ---- */

/** To be set in the number of a dial: which life dialed. */
uint64_t host_dial_mark(const struct host *h);
/** Sets site_id. @return false and why[CONFIG_WHY_MAX] */
bool host_open_transport(struct host *h, char *why);

#endif
