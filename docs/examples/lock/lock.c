/* A lock service: one site serves, an actor on each site takes the lock, works
 * under it and gives it back. A lock is a lease: who holds it and is cut off
 * loses it after LEASE_NS, and nobody has to ask him.
 *
 * There is a bug in it. docs/TESTING-YOUR-ACTORS.md tells how it is found.
 * Built with -DLOCK_FIXED it is gone.
 *
 *   cc -shared -fPIC -o lock.so lock.c $(pkg-config --cflags motet)
 *   motet sim run --seeds 100 --actor ./lock.so
 */
#include <motet/plugin.h>
#include <stdio.h>
#include <string.h>

#define MS 1000000ULL

enum { TIMER = 1, CALL_MS = 900 };

static const uint64_t LEASE_NS = 1000 * MS;
static const uint64_t THINK_NS = 150 * MS; /* between two looks at the lock */

struct lock {
    /* The server, on one site. */
    bool serves;
    uint64_t born_ns;
    struct motet_ui holder; /* the port of who holds it */
    uint64_t free_ns;       /* when the lease ends */

    /* The client, on each. */
    struct motet_ui port;
    struct motet_ui service; /* the group "lock" */
    uint64_t call;           /* 0: none is on its way */
    uint64_t asked_ns;
    bool holds;
    uint64_t until_ns; /* it is ours until then */
    uint64_t taken;    /* how often we had it */
};

static enum motet_err on_start(struct motet_self *self, void *state,
                               const char *args)
{
    struct lock *k = state;
    struct motet_cap port;
    struct motet_cap group;
    enum motet_err err = motet_actor_port_new(self, &port);
    if (err == MOTET_OK) {
        err = motet_actor_group(self, "lock", &group);
    }
    if (err != MOTET_OK) {
        return err;
    }
    k->port = port.ui;
    k->service = group.ui;
    k->born_ns = motet_actor_now_ns(self);
    k->serves =
        strcmp(motet_actor_site_name(self), args != NULL ? args : "site1") == 0;
    if (k->serves) {
        err = motet_actor_join(self, &group, port.ui);
    }
    return err != MOTET_OK ? err : motet_actor_timer(self, TIMER, THINK_NS);
}

/* ---- the server -----------------------------------------------------------
 */

/* "take": the lock, or more time. "done": it is given back. */
static void on_message(struct motet_self *self, void *state,
                       const struct motet_view *v)
{
    struct lock *k = state;
    const uint64_t now = motet_actor_now_ns(self);
    const bool his = motet_ui_equal(k->holder, v->source);
    if (v->held == 0) {
        if (his) {
            k->free_ns = now;
        }
        return;
    }
    /* A server that has just started does not know who has a lease. */
    const bool young = now - k->born_ns < LEASE_NS;
    const bool given = !young && (his || now >= k->free_ns);
    if (given) {
        k->holder = v->source;
        k->free_ns = now + LEASE_NS;
    }
    const struct motet_out answer = {.body = {given ? "yes" : "no ", 3}};
    (void)!motet_actor_reply(self, v->held, &answer);
}

/* ---- the client -----------------------------------------------------------
 */

static void take(struct motet_self *self, struct lock *k)
{
    const struct motet_dest to = {.target = k->service, .mode = MOTET_TO_ANY};
    const struct motet_out ask = {.body = {"take", 4}};
    k->asked_ns = motet_actor_now_ns(self);
    if (motet_actor_call(self, k->port, &to, &ask, CALL_MS, &k->call) !=
        MOTET_OK) {
        k->call = 0;
    }
}

static void give_back(struct motet_self *self, struct lock *k)
{
    const struct motet_dest to = {.target = k->service, .mode = MOTET_TO_ANY};
    const struct motet_out done = {.body = {"done", 4}};
    k->holds = false;
    (void)!motet_actor_send(self, k->port, &to, &done, CALL_MS, 0);
}

static void on_event(struct motet_self *self, void *state,
                     const struct motet_event *e)
{
    struct lock *k = state;
    if (e->kind != MOTET_EVENT_CALL_DONE || e->call != k->call) {
        return;
    }
    k->call = 0;
    if (e->err != MOTET_OK || memcmp(e->reply->body, "yes", 3) != 0) {
        return;
    }
    k->taken += !k->holds;
    k->holds = true;
#ifdef LOCK_FIXED
    k->until_ns = k->asked_ns + LEASE_NS;
#else
    k->until_ns = motet_actor_now_ns(self) + LEASE_NS;
#endif
    (void)self;
}

static void on_timer(struct motet_self *self, void *state, uint64_t timer)
{
    struct lock *k = state;
    if (k->holds && motet_actor_now_ns(self) >= k->until_ns) {
        k->holds = false; /* the lease has ended */
    }
    if (k->call == 0) {
        if (k->holds && motet_actor_random(self) % 4 == 0) {
            give_back(self, k);
        } else {
            take(self, k); /* or ask for more time */
        }
    }
    (void)!motet_actor_timer(self, timer, THINK_NS);
}

/* For tests with real processes: they look at what is saved. */
static size_t save(const void *state, void *out, size_t size)
{
    if (size >= sizeof(struct lock)) {
        memcpy(out, state, sizeof(struct lock));
    }
    return sizeof(struct lock);
}

static bool restore(void *state, const void *in, size_t size)
{
    if (size != sizeof(struct lock)) {
        return false;
    }
    memcpy(state, in, size);
    return true;
}

const struct motet_supervisor *motet_plugin_actor(void)
{
    static const struct motet_supervisor table = {
        .name = "lock",
        .state_bytes = sizeof(struct lock),
        .on_start = on_start,
        .on_message = on_message,
        .on_event = on_event,
        .on_timer = on_timer,
        .save = save,
        .restore = restore,
    };
    return &table;
}

/* ---- what must hold -------------------------------------------------------
 */

static bool one_holder(const struct motet_look *look, char *why, size_t size)
{
    const char *holder = NULL;
    for (size_t i = 0; i < look->count; i++) {
        const struct lock *k = look->actors[i].state;
        if (!k->holds || look->actors[i].now_ns >= k->until_ns) {
            continue;
        }
        if (holder != NULL) {
            snprintf(why, size, "%s and %s hold the lock", holder,
                     look->actors[i].site);
            return false;
        }
        holder = look->actors[i].site;
    }
    return true;
}

static bool is_served(const struct motet_look *look)
{
    for (size_t i = 0; i < look->count; i++) {
        const struct lock *k = look->actors[i].state;
        if (k->serves) {
            return true;
        }
    }
    return false; /* its site is gone for good: nobody can have the lock */
}

static bool all_had_it(const struct motet_look *look, char *why, size_t size)
{
    for (size_t i = 0; is_served(look) && i < look->count; i++) {
        const struct lock *k = look->actors[i].state;
        if (k->taken == 0) {
            snprintf(why, size, "%s never got the lock", look->actors[i].site);
            return false;
        }
    }
    return true;
}

const struct motet_invariant *motet_plugin_invariants(size_t *count)
{
    static const struct motet_invariant all[] = {
        {"one holder", MOTET_ALWAYS, one_holder},
        {"nobody starves", MOTET_SETTLED, all_had_it},
    };
    *count = sizeof all / sizeof all[0];
    return all;
}
