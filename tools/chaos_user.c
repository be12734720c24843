#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chaos.h"
#include "say.h"

/* Invariants on real processes: each site has left the state of its actor in a
 * file when it left; they are taken in here, and looked at together. */

enum { STATE_BYTES_MAX = 64 << 20 };

/* @return the bytes of the file; NULL: there is none */
static void *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return NULL;
    }
    char *bytes = malloc(STATE_BYTES_MAX);
    CHECK(bytes != NULL);
    *size = fread(bytes, 1, STATE_BYTES_MAX, f);
    (void)fclose(f);
    return bytes;
}

static void *take_in(const struct chaos_run *r, const char *site)
{
    const struct motet_supervisor *t = r->plugin->table;
    char name[MOTET_NAME_MAX * 2 + 16];
    char path[PATH_BYTES];
    size_t size = 0;
    (void)snprintf(name, sizeof name, "%s.%.60s.state", site, t->name);
    void *bytes =
        path_join(path, r->folder, name, NULL) ? read_file(path, &size) : NULL;
    if (bytes == NULL || t->restore == NULL) {
        free(bytes);
        return NULL;
    }
    void *state = calloc(1, t->state_bytes > 0 ? t->state_bytes : 1);
    CHECK(state != NULL);
    if (!t->restore(state, bytes, size)) {
        say_error("%.300s: the actor cannot restore this", path);
        free(state);
        state = NULL;
    }
    free(bytes);
    return state;
}

static void ask(struct chaos_run *r, const struct motet_look *look)
{
    for (size_t i = 0; i < r->plugin->invariant_count; i++) {
        const struct motet_invariant *v = &r->plugin->invariants[i];
        char why[CHECK_TEXT_MAX - 64] = "";
        char text[CHECK_TEXT_MAX];
        if (v->when != MOTET_SETTLED || v->holds(look, why, sizeof why)) {
            continue;
        }
        (void)snprintf(text, sizeof text, "%.60s: %s", v->name, why);
        chaos_accuse(r, CHECK_INVARIANT, r->end_ns, 0, text);
    }
}

void chaos_look(struct chaos_run *r)
{
    struct motet_look_actor actors[CHAOS_SITES_MAX];
    struct motet_look look = {.when = MOTET_SETTLED, .actors = actors};
    void *states[CHAOS_SITES_MAX];
    size_t i;
    const json_t *site;
    json_array_foreach(r->sites, i, site)
    {
        void *state = take_in(r, json_string_value(site));
        if (state != NULL) {
            states[look.count] = state;
            actors[look.count++] = (struct motet_look_actor){
                .site = json_string_value(site), .state = state};
        }
    }
    r->states = (uint32_t)look.count;
    if (look.count > 0) {
        ask(r, &look);
    }
    for (size_t k = 0; k < look.count; k++) {
        free(states[k]);
    }
}
