#ifndef NUCLEUS_SCENE_H
#define NUCLEUS_SCENE_H

#include "nucleus_world.h"

/* A client that calls, a server that is asked, both here. */
struct scene {
    struct world w;
    struct motet_ui server, in;
    struct motet_ui client, out;
};

static inline void scene_init(struct scene *s, bool push, uint32_t queue)
{
    world_init(&s->w, NULL);
    s->server = world_actor(&s->w, push);
    s->in = world_port_with(
        &s->w, s->server,
        (struct nuc_port_attr){.enabled = true, .queue_msgs_max = queue});
    s->client = world_actor(&s->w, true);
    s->out = world_port(&s->w, s->client);
}

static inline uint64_t call_for(struct scene *s, struct motet_ui dst,
                                uint64_t ms)
{
    cr_assert_eq(
        world_call(&s->w, s->client, s->out, dst, s->w.now_ns + ms * WORLD_MS),
        MOTET_OK);
    return s->w.out.call;
}

static inline enum motet_err done(const struct scene *s)
{
    return world_one(&s->w, NUC_CALL_DONE)->err;
}

static inline enum motet_err cancel(struct scene *s, struct motet_ui actor,
                                    uint64_t call)
{
    struct nuc_in in = world_in(&s->w, NUC_CANCEL);
    in.actor = actor;
    in.call = call;
    return world_step(&s->w, &in);
}

/* No memory or count is left of any call. */
static inline void scene_fini(struct scene *s)
{
    const struct nuc_counts c = nucleus_counts(s->w.n);
    cr_expect_eq(c.calls, 0, "%u calls", c.calls);
    cr_expect_eq(c.held, 0, "%u held", c.held);
    cr_expect_eq(c.waiters, 0, "%u waiters", c.waiters);
    cr_expect_eq(nucleus_deadline_ns(s->w.n), DEADLINE_NEVER);
    world_fini(&s->w);
}

static inline uint64_t ticket(const struct scene *s)
{
    return world_one(&s->w, NUC_TO_NET)->ticket;
}

static inline struct msg reply_to(uint64_t call, enum motet_err status)
{
    return (struct msg){
        .kind = MSG_REPLY, .call = call, .status = (uint16_t)status};
}

#endif
