#ifndef MOTET_PLUGIN_H
#define MOTET_PLUGIN_H

#include <motet/supervisor.h>

/* A supervisor actor in a shared object: the same file runs in motetd (`actor =
 * ./my-actor.so:arguments`), in the simulator (`motet sim run --actor`) and in
 * scenarios of `motet chaos`. It defines motet_plugin_actor(), and, to be
 * tested for more than what Motet itself promises, motet_plugin_invariants().
 *
 *   cc -shared -fPIC -o my-actor.so my-actor.c $(pkg-config --cflags motet)
 */

/** Required: the table of the actor; static. */
MOTET_API const struct motet_supervisor *motet_plugin_actor(void);

/* When an invariant must hold. */
enum motet_when {
    /* At any moment, seen from outside of all sites at once. Only the simulator
     * can look so: there it is asked after each step of a site. */
    MOTET_ALWAYS = 1,
    /* When all faults have been healed, the sites agree, and what was pending
     * had time to end. With real processes the states are those that save()
     * wrote, taken in by restore(). */
    MOTET_SETTLED,
};

/* An actor that runs. */
struct motet_look_actor {
    const char *site;  /* name of its site */
    const void *state; /* as in the functions of its table; do not change it */
    uint64_t now_ns;   /* what motet_actor_now_ns() says on its site; 0 = not
                        * known (real processes) */
};

/* All actors of the kind that run at the moment; sites that are down have none.
 * Borrowed for the call. */
struct motet_look {
    enum motet_when when;
    const struct motet_look_actor *actors;
    size_t count;
};

struct motet_invariant {
    const char *name; /* "one holder" */
    enum motet_when when;

    /** Must not change anything, nor use clock or chance.
     *
     * @param why  for a sentence when it does not hold
     * @return whether it holds */
    bool (*holds)(const struct motet_look *look, char *why, size_t why_bytes);
};

/** Optional. @param count  set to how many there are */
MOTET_API const struct motet_invariant *motet_plugin_invariants(size_t *count);

#endif
