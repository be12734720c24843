#include <stdarg.h>
#include <string.h>

#include "nucleus/base/hash.h"
#include "nucleus/base/ui.h"
#include "work.h"

enum {
    TURN_NS_MIN = 1000,
    STALL_NS = 100000000, /* a loop later than this tells its site so */
};

void *world_alloc(struct world *w, size_t size)
{
    void *p = mem_alloc(&w->mem, size);
    CHECK(p != NULL);
    return p;
}

void world_tell(struct world *w, const struct check_event *e)
{
    for (uint32_t i = 0; w->opt->on_event != NULL && i < w->node_count; i++) {
        if (w->node[i].id == e->site) {
            w->opt->on_event(w->opt->ctx, i, e);
        }
    }
    seen_event(w, e);
    points_heard(w, e);
    check_feed(w->check, e);
}

void world_accuse(struct world *w, int promise, uint64_t site, const char *text)
{
    if (w->opt->on_accuse != NULL) {
        w->opt->on_accuse(w->opt->ctx, promise, w->now_ns, site, text);
    }
    check_accuse(w->check, promise, w->now_ns, site, text);
}

void world_at(struct world *w, struct deadline *d, enum due due, uint64_t at_ns)
{
    d->kind = (uint32_t)due;
    CHECK(deadline_set(&w->due, d, at_ns));
}

void world_trace(struct world *w, const struct node *n, char mark,
                 const char *format, ...)
{
    FILE *out = w->opt->trace;
    if (out == NULL) {
        return;
    }
    const uint64_t us = w->now_ns / 1000;
    (void)fprintf(out, "  %02u:%02u:%02u.%06u ", (unsigned)(us / 3600000000),
                  (unsigned)(us / 60000000 % 60), (unsigned)(us / 1000000 % 60),
                  (unsigned)(us % 1000000));
    for (uint32_t i = 0; i <= w->node_count; i++) {
        const struct node *k = &w->node[i];
        const char idle = k->site == NULL ? ' ' : k->paused ? '=' : '.';
        (void)fprintf(out, " %c", k == n ? mark : idle);
    }
    (void)fprintf(out, "  ");
    va_list args;
    va_start(args, format);
    (void)vfprintf(out, format, args);
    va_end(args);
    (void)fputc('\n', out);
}

const char *world_ui(const struct world *w, struct motet_ui ui,
                     char text[WORLD_UI_SIZE])
{
    const unsigned life = (unsigned)(ui.lo >> 32);
    const unsigned serial = (unsigned)ui.lo;
    for (uint32_t i = 0; i < w->node_count; i++) {
        if (!ui_is_group(ui) && w->node[i].id == ui_site(ui)) {
            (void)snprintf(text, WORLD_UI_SIZE, "%s.%x.%x", w->node[i].name,
                           life, serial & UI_SERIAL_MAX);
            return text;
        }
    }
    (void)snprintf(text, WORLD_UI_SIZE, "%llx.%x.%x", (unsigned long long)ui.hi,
                   life, serial);
    return text;
}

/* ---- Inputs ----------------------------------------------------------------
 */

struct input *input_new(struct world *w, enum site_in_kind kind, uint64_t conn,
                        size_t size)
{
    struct input *in = mem_alloc_raw(&w->mem, sizeof *in + size);
    CHECK(in != NULL);
    *in = (struct input){.kind = kind, .conn = conn, .size = size};
    return in;
}

static bool has_bytes(const struct input *in)
{
    return in->kind == SITE_IN_BYTES || in->kind == SITE_IN_DATAGRAM;
}

void input_free(struct world *w, struct input *in)
{
    const size_t bytes = has_bytes(in) ? in->size : 0;
    mem_free(&w->mem, in, sizeof *in + bytes);
}

void node_wake(struct node *n, uint64_t at_ns)
{
    struct world *w = n->world;
    if (n->site == NULL || at_ns == DEADLINE_NEVER) {
        return;
    }
    if (at_ns < n->busy_until_ns) {
        at_ns = n->busy_until_ns;
    }
    if (at_ns < w->now_ns) {
        at_ns = w->now_ns;
    }
    if (!deadline_armed(&n->turn) || n->turn.at_ns > at_ns) {
        world_at(w, &n->turn, DUE_TURN, at_ns);
    }
}

void node_input(struct node *n, struct input *in)
{
    if (n->site == NULL) {
        input_free(n->world, in);
        return;
    }
    if (in->kind == SITE_IN_BYTES) {
        n->world->report->packets++;
    }
    list_append(&n->inbox, &in->link);
    node_wake(n, n->world->now_ns);
}

static void drop_inbox(struct node *n)
{
    list_foreach (it, &n->inbox) {
        list_remove(it);
        input_free(n->world, LIST_ENTRY(it, struct input, link));
    }
}

/* ---- A life ----------------------------------------------------------------
 */

static void tell(struct node *n, enum check_what what, uint64_t value)
{
    const struct check_event e = {
        .now_ns = n->world->now_ns,
        .what = what,
        .site = n->id,
        .incarnation = n->incarnation,
        .value = value,
    };
    world_tell(n->world, &e);
}

static uint32_t next_incarnation(struct node *n)
{
    const int64_t wall =
        WALL_START_S + (int64_t)(n->world->now_ns / SECOND) + n->wall_s;
    uint32_t incarnation = (uint32_t)wall;
    if (n->stored + 1 > incarnation) {
        incarnation = n->stored + 1;
    }
    if (n->reborn > incarnation) {
        incarnation = n->reborn;
    }
    /* Two copies that start in the same second, each known to other peers only,
     * are the same to everybody: that is not covered by P9. */
    for (uint32_t i = 0; i <= n->world->node_count; i++) {
        const struct node *other = &n->world->node[i];
        if (other != n && other->id == n->id &&
            other->incarnation == incarnation) {
            incarnation++;
        }
    }
    return incarnation;
}

/* Whoever comes first finds nobody yet and is found by the others. */
static void seeds_of(struct node *n, struct site_config *cfg)
{
    struct world *w = n->world;
    cfg->seed_count = 0;
    for (uint32_t i = 0; i < w->node_count; i++) {
        if (i != n->index && cfg->seed_count < SITE_SEEDS_MAX) {
            cfg->seeds[cfg->seed_count++] = w->node[i].addr;
        }
    }
}

void node_boot(struct node *n)
{
    struct world *w = n->world;
    CHECK(n->site == NULL);
    deadline_clear(&w->due, &n->boot);
    if (n->full_until_ns > w->now_ns) { /* its service manager tries again */
        seen(w, SEEN_WORLD_NO_DISK);
        world_trace(w, n, '!', "%s: no room for its state file", n->name);
        world_at(w, &n->boot, DUE_BOOT, w->now_ns + SECOND);
        return;
    }
    n->incarnation = next_incarnation(n);
    n->stored_before = n->stored;
    n->stored = n->incarnation;
    n->reborn = 0;
    n->refused = false;
    n->life++;
    n->clock_ns = prng_below(&w->chance, 1000 * SECOND);
    n->boot_ns = w->now_ns;
    n->busy_until_ns = w->now_ns;
    n->paused = false;
    n->jitter_ns = prng_chance(&w->chance, 500000) ? MS : 0;
    struct site_config cfg = w->tuning.site;
    cfg.site = n->id;
    cfg.incarnation = n->incarnation;
    cfg.name = n->name;
    cfg.address = n->addr;
    cfg.seed = prng_next(&w->chance);
    cfg.secret[0] = prng_next(&w->chance);
    cfg.secret[1] = prng_next(&w->chance);
    cfg.insecure = w->tuning.insecure;
    cfg.transport = w->opt->transport;
    cfg.aead = &w->aead;
    seeds_of(n, &cfg);
    cfg.actor_kind = work_kind;
    if (n->ring == NULL) {
        n->ring = world_alloc(w, TRACE_RING * sizeof *n->ring);
    }
    cfg.trace_ring = n->ring;
    n->traced = 0;
    n->site = site_create(&cfg, w->now_ns + n->clock_ns);
    CHECK(n->site != NULL);
    world_trace(w, n, '^', "%s boots, incarnation %u", n->name, n->incarnation);
    if (!n->is_twin) {
        tell(n, CHECK_SITE_BEGIN, 0);
        if (n->apart) {
            tell(n, CHECK_SITE_APART, 0);
        }
        work_spawn(w->work, n);
    }
    node_wake(n, w->now_ns);
}

void node_crash(struct node *n, const char *why)
{
    struct world *w = n->world;
    if (n->site == NULL) {
        return;
    }
    world_trace(w, n, 'X', "%s %s, incarnation %u", n->name, why,
                n->incarnation);
    w->hash = hash_fold(w->hash, site_trace(n->site)->hash);
    drop_inbox(n);
    deadline_clear(&w->due, &n->turn);
    site_destroy(n->site);
    n->site = NULL;
    n->paused = false;
    net_crashed(n);
    if (!n->is_twin) {
        tell(n, CHECK_SITE_END, 0);
    }
}

void node_pause(struct node *n, uint64_t for_ns)
{
    struct world *w = n->world;
    if (n->site == NULL || n->paused) {
        return;
    }
    world_trace(w, n, '=', "%s pauses for %llu ms", n->name,
                (unsigned long long)(for_ns / MS));
    n->paused = true;
    n->paused_ns = w->now_ns;
    n->due_ns = deadline_armed(&n->turn) ? n->turn.at_ns : DEADLINE_NEVER;
    n->busy_until_ns = w->now_ns + for_ns;
    world_at(w, &n->turn, DUE_TURN, n->busy_until_ns);
}

/* ---- Turns -----------------------------------------------------------------
 */

static void log_line(struct node *n, const struct site_log *l)
{
    static const char *const kinds[] = {
        "?",         "session up",     "session down",
        "member",    "refused a peer", "was refused",
        "stranger",  "rebirth",        "actor",
        "stall",     "move",           "port frozen",
        "port here", "port away",      "path up",
        "path down",
    };
    static const char *const states[] = {"", " alive", " suspect", " dead",
                                         " left"};
    const size_t kind = (size_t)l->kind < ARRAY_LEN(kinds) ? l->kind : 0;
    const size_t state = (size_t)l->state < ARRAY_LEN(states) ? l->state : 0;
    if (l->kind == SITE_LOG_MOVE) {
        return; /* world_step() tells */
    }
    world_trace(n->world, n, '*', "%s: %s%s %s %s %s", n->name, kinds[kind],
                l->kind == SITE_LOG_MEMBER ? states[state] : "", l->name,
                l->err != MOTET_OK ? motet_err_name(l->err) : "", l->detail);
}

/* P6: what the protocol does not have must not happen. */
static void world_step(struct node *n, const struct site_log *l)
{
    const struct step e = {
        .site = n->id,
        .incarnation = n->incarnation,
        .copy = n->index,
        .xid = {.site = l->site,
                .incarnation = l->incarnation,
                .number = l->value},
        .from = l->from,
        .event = l->event,
        .to = l->to,
        .port = l->port,
        .epoch = l->epoch,
    };
    char text[STEP_WHY_MAX];
    if (l->kind != SITE_LOG_MOVE) {
        return;
    }
    world_trace(n->world, n, '*', "%s %s", n->name, step_text(&e, text));
    if (!steps_feed(&n->world->steps, &e, text)) {
        world_accuse(n->world, 6, n->id, text);
    }
}

/* Where a port lives, for the checker. */
static void world_port(struct node *n, const struct site_log *l)
{
    const enum check_what what = l->kind == SITE_LOG_PORT_FROZEN ? CHECK_FROZEN
                                 : l->kind == SITE_LOG_PORT_HERE ? CHECK_OWNER
                                 : l->kind == SITE_LOG_PORT_AWAY
                                     ? CHECK_PORT_END
                                     : CHECK_WHAT_COUNT;
    const bool belief = what == CHECK_PORT_END && l->err != MOTET_E_NO_ACTOR &&
                        !owners_here(n->world->work, l->port, n);
    if (what == CHECK_WHAT_COUNT || n->is_twin || belief) {
        return; /* a death that is only believed in is no end */
    }
    /* What its actor did in the same step was told already. */
    const bool over = what == CHECK_OWNER && !owners_live(n, l->port);
    struct check_event e = {
        .now_ns = n->world->now_ns,
        .what = what,
        .site = n->id,
        .incarnation = n->incarnation,
        .port = l->port,
        .value = over ? 0 : l->value,
    };
    char text[WORLD_UI_SIZE];
    world_trace(n->world, n, '*', "%s %s port %s epoch %llu", n->name,
                check_what_name(what), world_ui(n->world, l->port, text),
                (unsigned long long)l->value);
    world_tell(n->world, &e);
    if (over) {
        e.what = CHECK_PORT_END;
        world_tell(n->world, &e);
    }
    work_port(n->world->work, n, l->port, e.what);
}

static void take_effects(struct node *n)
{
    const struct site_effect *e = NULL;
    while ((e = site_effect(n->site)) != NULL) {
        switch (e->kind) {
        case SITE_DIAL:
            net_dial(n, e);
            break;
        case SITE_WRITE:
            net_write(n, e);
            break;
        case SITE_CLOSE:
            net_close(n, e->conn);
            break;
        case SITE_DATAGRAM:
            udp_send_from(n, e);
            break;
        case SITE_LOG:
            n->world->report->paths_up += e->log.kind == SITE_LOG_PATH_UP;
            n->world->report->paths_down += e->log.kind == SITE_LOG_PATH_DOWN;
            log_line(n, &e->log);
            world_port(n, &e->log);
            world_step(n, &e->log);
            points_step(n, &e->log);
            break;
        case SITE_REBIRTH:
            n->reborn = e->incarnation > 0 ? e->incarnation : 1;
            break;
        case SITE_REFUSED:
            log_line(n, &e->log);
            n->refused = true;
            break;
        case SITE_LEAVE:
            break;
        case SITE_ACTOR:
        default:
            CHECK(e->kind != SITE_ACTOR);
        }
    }
}

static void step(struct node *n, const struct site_in *in)
{
    struct site_in at = *in;
    at.now_ns = n->world->now_ns + n->clock_ns;
    site_step(n->site, &at);
    seen_trace(n);
    take_effects(n);
    work_thaw(n->world->work, n);
}

static void resume(struct node *n)
{
    struct world *w = n->world;
    const uint64_t paused_ns = w->now_ns - n->paused_ns;
    const uint64_t late_ns = n->due_ns < w->now_ns ? w->now_ns - n->due_ns : 0;
    n->paused = false;
    if (!n->is_twin) {
        tell(n, CHECK_SITE_PAUSED, paused_ns);
    }
    world_trace(w, n, '>', "%s goes on", n->name);
    if (late_ns >= STALL_NS) {
        seen(w, SEEN_WORLD_STALL);
        step(n, &(struct site_in){.kind = SITE_IN_STALL, .late_ns = late_ns});
    }
}

static void hand_over(struct node *n, struct input *in)
{
    const bool up = in->kind == SITE_IN_CONN_UP;
    uint8_t secret[PATH_SECRET_BYTES];
    udp_secret(in->conn / 2, secret);
    const struct site_in si = {
        .kind = in->kind,
        .secret = up && !n->world->tuning.insecure ? secret : NULL,
        .udp = up && in->from.size > 0 ? &in->from : NULL,
        .from = &in->from,
        .conn = in->conn,
        .dial = in->dial,
        .peer = in->peer,
        .datagram = in->datagram,
        .addr = in->addr,
        .bytes = has_bytes(in) ? in->bytes : NULL,
        .size = in->size,
    };
    step(n, &si);
    input_free(n->world, in);
}

void node_leave(struct node *n)
{
    if (n->site == NULL || n->paused) {
        return;
    }
    step(n, &(struct site_in){.kind = SITE_IN_LEAVE});
    node_crash(n, "leaves");
}

/* What the host does when its site says that it cannot go on. */
static void obey(struct node *n)
{
    struct world *w = n->world;
    if (n->reborn != 0) {
        const uint32_t least = n->reborn;
        w->report->rebirths++;
        node_crash(n, "must be reborn");
        n->reborn = least;
        if (!n->is_twin) {
            world_at(w, &n->boot, DUE_BOOT,
                     w->now_ns + prng_below(&w->chance, 50 * MS));
        }
    } else if (n->refused) {
        w->report->refused_joins++;
        seen(w, SEEN_WORLD_REFUSED);
        node_crash(n, "gives up");
        if (!n->is_twin) {
            world_at(w, &n->boot, DUE_BOOT,
                     w->now_ns + prng_between(&w->chance, SECOND, 3 * SECOND));
        }
    }
}

static void turn(struct node *n)
{
    struct world *w = n->world;
    if (n->paused) {
        resume(n);
    }
    while (!list_empty(&n->inbox)) {
        struct list *first = list_first(&n->inbox);
        list_remove(first);
        hand_over(n, LIST_ENTRY(first, struct input, link));
    }
    step(n, &(struct site_in){.kind = SITE_IN_TICK});
    if (n->reborn != 0 || n->refused) {
        obey(n);
        return;
    }
    work_respawn(w->work, n);
    user_look(w, MOTET_ALWAYS);
    n->busy_until_ns = w->now_ns + TURN_NS_MIN;
    if (w->tuning.turn_ns > 0) {
        n->busy_until_ns += prng_below(&w->net_chance, w->tuning.turn_ns);
    }
    uint64_t at_ns = site_deadline_ns(n->site);
    if (at_ns != DEADLINE_NEVER) {
        at_ns = at_ns > n->clock_ns ? at_ns - n->clock_ns : 0;
        if (at_ns > w->now_ns && n->jitter_ns > 0) {
            at_ns += prng_below(&w->net_chance, n->jitter_ns);
        }
        node_wake(n, at_ns);
    }
}

static void on_due(struct world *w, struct deadline *d)
{
    switch ((enum due)d->kind) {
    case DUE_TURN:
        turn(CONTAINER_OF(d, struct node, turn));
        break;
    case DUE_BOOT:
        node_boot(CONTAINER_OF(d, struct node, boot));
        break;
    case DUE_STREAM:
        net_on_stream(CONTAINER_OF(d, struct way, arrive));
        break;
    case DUE_DRAIN:
        net_on_drain(CONTAINER_OF(d, struct way, drain));
        break;
    case DUE_BREAK:
        net_on_break(CONTAINER_OF(d, struct wire, broken));
        break;
    case DUE_PACKET:
        net_on_packet(CONTAINER_OF(d, struct packet, arrive));
        break;
    case DUE_DIALED:
        net_on_dialed(CONTAINER_OF(d, struct dialing, done));
        break;
    case DUE_FAULT:
        faults_on(CONTAINER_OF(d, struct script, next));
        break;
    case DUE_UNDO:
        faults_on_undo(CONTAINER_OF(d, struct undo, at));
        break;
    case DUE_DATAGRAM:
        udp_on_datagram(CONTAINER_OF(d, struct datagram, arrive));
        break;
    default:
        CHECK(w == NULL);
    }
}

void world_run(struct world *w, uint64_t until_ns)
{
    while (deadlines_next(&w->due) <= until_ns) {
        w->now_ns = deadlines_next(&w->due);
        struct deadline *d = deadlines_pop(&w->due, w->now_ns);
        const bool about = points_about(w, d);
        on_due(w, d);
        if (about) {
            points_event(w);
        }
    }
    w->now_ns = until_ns;
}
