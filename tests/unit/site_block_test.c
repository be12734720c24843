/* Bodies that a supervisor actor sends without a copy. */
#include "site_world.h"
#include "sites/site/site.h"

TestSuite(site_block, .timeout = 30);

enum { BLOCK_BYTES = 300000, BLOCKS_MAX = 4 };

/* One per site, in the group "blocks". The last message that came is kept. */
struct holder {
    struct motet_cap port;
    struct motet_block *blocks[BLOCKS_MAX];
    uint32_t came;
    size_t bytes;
    uint8_t first, last;
    enum motet_err sent;
    uint32_t outcomes;
};

/* What the next message to a holder makes it do. */
struct plan {
    enum { DO_NOTHING, DO_SEND, DO_END } what;
    struct motet_dest to;
    size_t size;
    uint32_t times;
    bool call; /* what comes is answered with a block, too */
    bool with_body;
    bool of_another;
    bool free_at_once;
    enum motet_err made;
    enum motet_err begun;
};

static struct plan plan;

static struct motet_block *somebodys;

/* NULL: it could not be made, plan.made says why. */
static struct motet_block *fill(struct motet_self *self)
{
    struct motet_block *b = NULL;
    void *bytes;
    plan.made = motet_actor_block(self, plan.size, &b, &bytes);
    if (plan.made != MOTET_OK) {
        return NULL;
    }
    uint8_t *at = bytes;
    cr_assert_eq(at[0] | at[plan.size - 1], 0, "it is zeroed");
    at[0] = 11;
    at[plan.size - 1] = 22;
    return b;
}

static void send_it(struct motet_self *self, struct holder *h)
{
    struct motet_block *b = fill(self);
    uint64_t call;
    if (b == NULL) {
        return;
    }
    struct motet_out out = {.block = plan.of_another ? somebodys : b};
    if (plan.with_body) {
        out.body = (struct motet_bytes){"x", 1};
    }
    for (uint32_t i = 0; i < plan.times; i++) {
        plan.begun = plan.call ? motet_actor_call(self, h->port.ui, &plan.to,
                                                  &out, MOTET_FOREVER, &call)
                               : motet_actor_send(self, h->port.ui, &plan.to,
                                                  &out, MOTET_FOREVER, i + 1);
    }
    if (plan.free_at_once) {
        motet_actor_block_free(self, b);
    } else {
        somebodys = b;
    }
}

static enum motet_err on_start(struct motet_self *self, void *state,
                               const char *args)
{
    struct holder *h = state;
    struct motet_cap group;
    (void)args;
    cr_assert_eq(motet_actor_port_new(self, &h->port), MOTET_OK);
    cr_assert_eq(motet_actor_group(self, "blocks", &group), MOTET_OK);
    return motet_actor_join(self, &group, h->port.ui);
}

static void take(struct holder *h, const struct motet_view *v)
{
    const uint8_t *at = v->body;
    h->came++;
    h->bytes = v->body_bytes;
    h->first = at[0];
    h->last = at[v->body_bytes - 1];
}

static void on_message(struct motet_self *self, void *state,
                       const struct motet_view *v)
{
    struct holder *h = state;
    if (v->body_bytes < BLOCK_BYTES && plan.what == DO_SEND) {
        send_it(self, h);
    } else if (v->body_bytes < BLOCK_BYTES && plan.what == DO_END) {
        motet_actor_end(self);
    } else {
        take(h, v);
    }
    if (v->held != 0) {
        struct motet_block *b = fill(self);
        const struct motet_out out = {.block = b};
        cr_assert_eq(motet_actor_reply(self, v->held, &out), MOTET_OK);
        motet_actor_block_free(self, b);
    }
}

static void on_event(struct motet_self *self, void *state,
                     const struct motet_event *e)
{
    struct holder *h = state;
    (void)self;
    if (e->kind == MOTET_EVENT_SENT) {
        h->outcomes++;
        h->sent = e->err;
    } else if (e->kind == MOTET_EVENT_CALL_DONE && e->reply != NULL) {
        take(h, e->reply);
    }
}

static const struct motet_supervisor holder = {
    .name = "holder",
    .state_bytes = sizeof(struct holder),
    .on_start = on_start,
    .on_message = on_message,
    .on_event = on_event,
};

struct two {
    struct sw w;
    struct holder *of[2];
    struct motet_ui program, port; /* at site 0: says what is to be done */
};

static void begin(struct two *t, void (*tune)(struct site_config *, int))
{
    memset(&plan, 0, sizeof plan);
    somebodys = NULL;
    sw_init(&t->w, 2, tune);
    for (int i = 0; i < 2; i++) {
        struct site *s = t->w.at[i].site;
        cr_assert_eq(site_spawn(s, &holder, "holder", NULL), MOTET_OK);
        sw_run(&t->w, 10);
        t->of[i] = site_actor_state(s, "holder");
    }
    t->program = sw_actor(&t->w, 0, "program", false);
    t->port = sw_port(&t->w, 0, t->program);
    plan = (struct plan){
        .what = DO_SEND,
        .to = {.target = t->of[1]->port.ui, .mode = MOTET_TO_ANY},
        .size = BLOCK_BYTES,
        .times = 1,
    };
}

/* A holder does what is planned. */
static void go(struct two *t, int which)
{
    cr_assert_eq(
        sw_send(&t->w, 0, t->program, t->port, t->of[which]->port.ui, 1),
        MOTET_OK);
    sw_run(&t->w, 100);
}

static void came(const struct holder *h, uint32_t times)
{
    cr_assert_eq(h->came, times, "%u came", h->came);
    cr_assert_eq(h->bytes, BLOCK_BYTES);
    cr_assert(h->first == 11 && h->last == 22);
}

Test(site_block, arrives_as_often_as_it_is_sent)
{
    static struct two t;
    begin(&t, NULL);
    plan.times = 3;
    go(&t, 0);
    cr_assert_eq(plan.begun, MOTET_OK);
    came(t.of[1], 3);
    cr_assert(t.of[0]->outcomes == 3 && t.of[0]->sent == MOTET_OK);
    plan.to.target = t.of[0]->port.ui; /* and here, to itself */
    go(&t, 0);
    came(t.of[0], 3);
    sw_fini(&t.w);
}

Test(site_block, goes_to_all_members)
{
    static struct two t;
    begin(&t, NULL);
    plan.to = (struct motet_dest){.target = motet_ui_of_name("blocks"),
                                  .mode = MOTET_TO_ALL};
    sw_run(&t.w, 500); /* both have heard of both */
    go(&t, 0);
    cr_assert_eq(plan.begun, MOTET_OK, "%s", motet_err_text(plan.begun));
    came(t.of[0], 1);
    came(t.of[1], 1);
    cr_assert(t.of[0]->outcomes == 1 && t.of[0]->sent == MOTET_OK);
    sw_fini(&t.w);
}

Test(site_block, calls_and_answers)
{
    static struct two t;
    begin(&t, NULL);
    plan.call = true;
    plan.times = 2;
    go(&t, 0);
    came(t.of[1], 2);
    came(t.of[0], 2); /* the replies */
    sw_fini(&t.w);
}

Test(site_block, is_the_actors_again_when_it_is_refused)
{
    static struct two t;
    begin(&t, NULL);
    plan.to.target.lo += 1000; /* no such port */
    go(&t, 0);
    cr_assert(t.of[0]->outcomes == 1 && t.of[0]->sent == MOTET_E_NO_PORT);
    plan.to.target = (struct motet_ui){1, 2}; /* no port at all */
    go(&t, 0);
    cr_assert_eq(plan.begun, MOTET_E_INVALID);
    cr_assert_eq(t.of[1]->came, 0);
    plan.to.target = t.of[1]->port.ui;
    go(&t, 0);
    came(t.of[1], 1);
    sw_fini(&t.w);
}

Test(site_block, is_not_copied)
{
    static struct two t;
    begin(&t, NULL);
    plan.times = 8;
    sw_hold(&t.w, 0, 1, true);
    const size_t before = site_mem(t.w.at[0].site)->used_bytes;
    go(&t, 0);
    const size_t after = site_mem(t.w.at[0].site)->used_bytes;
    cr_assert_lt(after - before, 2 * BLOCK_BYTES, "%zu bytes more",
                 after - before);
    sw_hold(&t.w, 0, 1, false);
    sw_run(&t.w, 2000);
    came(t.of[1], 8);
    sw_fini(&t.w);
}

Test(site_block, what_was_sent_arrives_after_it_is_freed)
{
    static struct two t;
    begin(&t, NULL);
    plan.free_at_once = true;
    plan.times = 2;
    go(&t, 0);
    came(t.of[1], 2);
    sw_fini(&t.w);
}

Test(site_block, goes_with_its_actor)
{
    static struct two t;
    begin(&t, NULL);
    go(&t, 0);
    const size_t before = site_mem(t.w.at[0].site)->used_bytes;
    plan.what = DO_END;
    go(&t, 0);
    const size_t after = site_mem(t.w.at[0].site)->used_bytes;
    cr_assert_geq(before - after, BLOCK_BYTES);
    sw_fini(&t.w); /* CHECKs the rest */
}

Test(site_block, bad_ones_are_refused)
{
    static struct two t;
    begin(&t, NULL);
    plan.size = 0;
    go(&t, 0);
    cr_assert_eq(plan.made, MOTET_E_INVALID);
    plan.size = (size_t)MOTET_BODY_DEFAULT + 1;
    go(&t, 0);
    cr_assert_eq(plan.made, MOTET_E_TOO_BIG);
    plan.size = SIZE_MAX;
    go(&t, 0);
    cr_assert_eq(plan.made, MOTET_E_TOO_BIG);
    plan.size = BLOCK_BYTES;
    plan.with_body = true;
    go(&t, 0);
    cr_assert_eq(plan.begun, MOTET_E_INVALID);
    cr_assert_eq(t.of[1]->came, 0);
    plan.with_body = false;
    plan.times = 0;
    go(&t, 1);
    plan.of_another = true;
    plan.times = 1;
    go(&t, 0);
    cr_assert_eq(plan.begun, MOTET_E_INVALID);
    sw_fini(&t.w);
}

static void small(struct site_config *cfg, int index)
{
    (void)index;
    cfg->memory_bytes_max = 4 << 20;
}

Test(site_block, no_more_than_the_memory_of_the_site)
{
    static struct two t;
    begin(&t, small);
    plan.times = 0;
    for (int i = 0; i < 100 && plan.made == MOTET_OK; i++) {
        go(&t, 0);
    }
    cr_assert_eq(plan.made, MOTET_E_NO_MEMORY);
    sw_fini(&t.w);
}
