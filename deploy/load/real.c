#include <errno.h>
#include <fcntl.h>
#include <motet/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/check/eventlog.h"
#include "deploy/sim/work.h"
#include "nucleus/base/hash.h"
#include "nucleus/base/ui.h"

/* The load of the simulator on real processes: motet-load.so, an actor of
 * motetd. What a worker sees of its world is kept up here: the clock of the
 * host, the sites whose ports are in the group "load", a log of events instead
 * of a checker. Its source, worker.c and ops.c, is the same.
 *
 * Arguments: NUMBER RATE FOLDER. In FOLDER it appends to SITE.events, and reads
 * "phase" now and then: "load", "drain" or "probe", then lines "slow SITE" and
 * "stuck SITE". A file and no message, because messages are what is tested. */

enum {
    LOOK_MS = 100, /* between two looks at the phase and at the group */
    BEAT_MS = 10,  /* a loop that runs does so at least as often ... */
    LATE_MS = 2,   /* ... give or take */
    PHASE_MAX = 2048,
    TIMER_BEAT = 1000, /* not one of the worker's */
    PATH_BYTES_MAX = 1024,
};

/* One for all workers of a process: they share its loop. */
struct load {
    struct world world;
    struct sim_options opt;
    struct work *work;
    struct motet_self *self; /* whose function runs */
    struct motet_cap group;
    char folder[PATH_BYTES_MAX];
    char name[MOTET_NAME_MAX + 1];
    int log;
    uint32_t incarnation;
    uint64_t beat_due_ns;
    uint64_t look_due_ns;
};

static struct load *load;

/* ---- what the simulator does for a worker ----------------------------------
 */

static void put(const struct check_event *e)
{
    char line[EVENTLOG_LINE_MAX];
    const size_t size = eventlog_write(e, line);
    /* One write for each event: what a process that is killed has done before,
     * is in the file. A log that cannot be written is seen by who reads it. */
    if (write(load->log, line, size) != (ssize_t)size) {
        (void)fprintf(stderr, "motet-load: cannot write the log: %s\n",
                      strerror(errno));
    }
}

void world_tell(struct world *w, const struct check_event *e)
{
    (void)w;
    put(e);
    if (e->what == CHECK_PORT_BEGIN) {
        /* Others find it there; without memory they do not. */
        (void)!motet_actor_join(load->self, &load->group, e->port);
    }
}

void world_trace(struct world *w, const struct node *n, char mark,
                 const char *format, ...)
{
    (void)w;
    (void)n;
    (void)mark;
    (void)format;
}

const char *world_ui(const struct world *w, struct motet_ui ui,
                     char text[WORLD_UI_SIZE])
{
    (void)w;
    (void)ui;
    text[0] = '\0'; /* nothing is traced */
    return text;
}

bool ops_heard_of(const struct worker *k, struct motet_ui port)
{
    const struct world *w = k->work->world;
    if (ui_is_group(port)) {
        return true;
    }
    for (uint32_t i = 0; i < w->node_count; i++) {
        if (w->node[i].id == ui_site(port)) {
            return w->node[i].incarnation >= ui_incarnation(port);
        }
    }
    return false;
}

/* ---- the world, as far as it is known here ---------------------------------
 */

static struct node *node_of(uint64_t site)
{
    struct world *w = &load->world;
    for (uint32_t i = 0; i < w->node_count; i++) {
        if (w->node[i].id == site) {
            return &w->node[i];
        }
    }
    if (w->node_count == SIM_SITES_MAX) {
        return NULL;
    }
    struct node *n = &w->node[w->node_count];
    n->index = w->node_count++;
    n->world = w;
    n->id = site;
    return n;
}

/* Any pointer but NULL says that a site runs. */
static void mark_up(struct node *n, bool up)
{
    static char something;
    n->site = up ? (struct site *)(void *)&something : NULL;
}

static struct spot *spot_of(struct motet_ui ui)
{
    for (uint32_t i = 0; i < SPOTS; i++) {
        if (motet_ui_equal(load->work->spot[i].ui, ui)) {
            return &load->work->spot[i];
        }
    }
    return NULL;
}

static void meet(struct motet_ui ui)
{
    struct node *n = node_of(ui_site(ui));
    struct spot *s = spot_of(ui);
    if (n == NULL || n->index == 0) {
        return; /* ours are known */
    }
    if (ui_incarnation(ui) > n->incarnation) {
        n->incarnation = ui_incarnation(ui);
        n->life++;
    }
    mark_up(n, true);
    if (s == NULL) {
        s = &load->work->spot[load->work->spots++ % SPOTS];
    }
    *s = (struct spot){.ui = ui,
                       .node = n,
                       .life = n->life,
                       .live = ui_incarnation(ui) == n->incarnation};
}

static void look_at_group(void)
{
    struct motet_ui ui;
    for (uint32_t i = 1; i < load->world.node_count; i++) {
        mark_up(&load->world.node[i], false);
    }
    for (uint32_t i = 0; i < SPOTS; i++) {
        struct spot *s = &load->work->spot[i];
        s->live = s->live && s->node->index == 0;
    }
    for (uint32_t i = 0;
         motet_actor_member(load->self, load->group.ui, i, &ui) == MOTET_OK;
         i++) {
        meet(ui);
    }
}

/* "slow site2" or "stuck site2", if that is us. */
static enum manner manner_of(const char *text)
{
    static const struct {
        const char *word;
        enum manner manner;
    } words[] = {{"\nstuck ", MANNER_STUCK}, {"\nslow ", MANNER_SLOW}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        char line[MOTET_NAME_MAX + 16];
        (void)snprintf(line, sizeof line, "%s%s\n", words[i].word, load->name);
        if (strstr(text, line) != NULL) {
            return words[i].manner;
        }
    }
    return MANNER_WELL;
}

static void look_at_phase(void)
{
    char path[PATH_BYTES_MAX + 8];
    char text[PHASE_MAX];
    (void)snprintf(path, sizeof path, "%s/phase", load->folder);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    const ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (n <= 0) {
        return; /* just being written: at the next look */
    }
    text[n] = '\0';
    load->work->draining = strncmp(text, "load", 4) != 0;
    load->work->probing = strncmp(text, "probe", 5) == 0;
    load->work->manner[0] = manner_of(text);
}

/* ---- each time a worker runs -----------------------------------------------
 */

/* A loop that was late has not run for so long: paused, or without a turn on a
 * busy machine. Nobody can demand more of it. */
static void note_pause(uint64_t now_ns)
{
    const struct node *n = &load->world.node[0];
    if (load->beat_due_ns != 0 && now_ns > load->beat_due_ns + LATE_MS * MS) {
        const struct check_event e = {
            .now_ns = now_ns,
            .what = CHECK_SITE_PAUSED,
            .site = n->id,
            .incarnation = n->incarnation,
            .value = now_ns - load->beat_due_ns,
        };
        put(&e);
    }
    load->beat_due_ns = now_ns + BEAT_MS * MS;
}

static void enter(struct motet_self *self)
{
    const uint64_t now_ns = motet_actor_now_ns(self);
    load->self = self;
    load->world.now_ns = now_ns;
    note_pause(now_ns);
    if (now_ns >= load->look_due_ns) {
        load->look_due_ns = now_ns + LOOK_MS * MS;
        look_at_phase();
        look_at_group();
    }
}

/* ---- the start -------------------------------------------------------------
 */

static void open_log(void)
{
    char path[sizeof load->folder + sizeof load->name + 16];
    (void)snprintf(path, sizeof path, "%s/%s.events", load->folder, load->name);
    load->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (load->log < 0) {
        (void)fprintf(stderr, "motet-load: cannot write %s: %s\n", path,
                      strerror(errno));
        exit(EXIT_FAILURE); /* nothing that happens here could be judged */
    }
}

/* A life of the site begins: its first worker says so. */
static void begin_life(struct motet_ui self_ui, uint64_t now_ns)
{
    struct node *n = node_of(ui_site(self_ui));
    CHECK(n->index == 0);
    n->incarnation = ui_incarnation(self_ui);
    n->life++;
    mark_up(n, true);
    load->incarnation = n->incarnation;
    load->beat_due_ns = 0;
    memset(load->work->spot, 0, sizeof load->work->spot);
    /* Unique in the cluster: 24 bits from who we are, the rest counts. */
    load->work->ids = hash_fold(n->id, n->incarnation) >> 40 << 40;
    const struct check_event e = {
        .now_ns = now_ns,
        .what = CHECK_SITE_BEGIN,
        .site = n->id,
        .incarnation = n->incarnation,
    };
    put(&e);
}

static void make_load(struct motet_self *self, const char *folder,
                      uint64_t rate)
{
    struct mem mem;
    mem_init(&mem, SIZE_MAX);
    load = mem_alloc(&mem, sizeof *load);
    CHECK(load != NULL);
    mem_init(&load->world.mem, SIZE_MAX);
    load->world.opt = &load->opt;
    load->work = work_new(&load->world);
    load->work->mortal = false;
    load->world.work = load->work;
    load->world.tuning.op_mean_ns = SECOND / (rate > 0 ? rate : 25);
    (void)snprintf(load->folder, sizeof load->folder, "%s", folder);
    (void)snprintf(load->name, sizeof load->name, "%s",
                   motet_actor_site_name(self));
    open_log();
}

/* Ports do not move here yet. */
bool owners_here(struct work *k, struct motet_ui port, const struct node *node)
{
    (void)k;
    (void)port;
    (void)node;
    return true;
}

void owners_set(struct work *k, struct motet_ui port, struct motet_ui actor)
{
    (void)k;
    (void)port;
    (void)actor;
}

void owners_follow(struct work *k, struct motet_ui from, struct motet_ui to,
                   struct node *node)
{
    (void)k;
    (void)from;
    (void)to;
    (void)node;
}

/* Nobody looks at groups from outside here. */
void groups_note(struct work *work, struct motet_ui group, struct motet_ui port,
                 bool in)
{
    (void)work;
    (void)group;
    (void)port;
    (void)in;
}

void worker_settle(struct worker *k, const char *args)
{
    k->work = load->work;
    k->node = &load->world.node[0];
    k->home = k->node;
    k->number = (uint32_t)strtoul(args, NULL, 10);
}

static enum motet_err on_start(struct motet_self *self, void *state,
                               const char *args)
{
    char *at = NULL;
    if (args == NULL) {
        return MOTET_E_INVALID;
    }
    (void)strtoul(args, &at, 10);
    const uint64_t rate = strtoul(at, &at, 10);
    at += strspn(at, " ");
    if (*at == '\0' || strlen(at) >= PATH_BYTES_MAX) {
        return MOTET_E_INVALID;
    }
    if (load == NULL) {
        make_load(self, at, rate);
    }
    load->self = self;
    load->world.now_ns = motet_actor_now_ns(self);
    const struct motet_ui ui = motet_actor_ui(self);
    if (ui_incarnation(ui) != load->incarnation) {
        begin_life(ui, load->world.now_ns);
    }
    const enum motet_err err = motet_actor_group(self, "load", &load->group);
    if (err != MOTET_OK) {
        return err;
    }
    enter(self);
    (void)!motet_actor_timer(self, TIMER_BEAT, BEAT_MS * MS);
    return worker_table.on_start(self, state, args);
}

static void on_message(struct motet_self *self, void *state,
                       const struct motet_view *view)
{
    enter(self);
    worker_table.on_message(self, state, view);
}

static void on_event(struct motet_self *self, void *state,
                     const struct motet_event *event)
{
    enter(self);
    worker_table.on_event(self, state, event);
}

static void on_timer(struct motet_self *self, void *state, uint64_t timer)
{
    enter(self);
    if (timer == TIMER_BEAT) {
        (void)!motet_actor_timer(self, TIMER_BEAT, BEAT_MS * MS);
    } else {
        worker_table.on_timer(self, state, timer);
    }
}

static void on_stop(struct motet_self *self, void *state)
{
    enter(self);
    worker_table.on_stop(self, state);
}

const struct motet_supervisor *motet_plugin_actor(void)
{
    static const struct motet_supervisor table = {
        .name = "load",
        .state_bytes = sizeof(struct worker),
        .on_start = on_start,
        .on_message = on_message,
        .on_event = on_event,
        .on_timer = on_timer,
        .on_stop = on_stop,
    };
    return &table;
}
