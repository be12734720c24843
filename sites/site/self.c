#include <string.h>

#include "inside.h"
#include "nucleus/base/ui.h"

/* What a supervisor actor can do: each is one nucleus operation. */

static enum motet_err op(struct motet_self *self, struct nuc_in *in,
                         struct nuc_out *out)
{
    in->actor = self->ui;
    return site_nuc(self->site, in, out);
}

struct motet_ui motet_actor_ui(const struct motet_self *self)
{
    return self->ui;
}

struct motet_ui motet_actor_site(const struct motet_self *self)
{
    return ui_of_site(self->site->cfg.site);
}

const char *motet_actor_site_name(const struct motet_self *self)
{
    return self->site->name;
}

uint64_t motet_actor_now_ns(const struct motet_self *self)
{
    return self->site->now_ns;
}

uint64_t motet_actor_random(struct motet_self *self)
{
    return prng_next(&self->site->prng);
}

void motet_actor_end(struct motet_self *self)
{
    self->site->ending += self->ending ? 0 : 1;
    self->ending = true;
}

enum motet_err motet_actor_port_new(struct motet_self *self,
                                    struct motet_cap *cap)
{
    return motet_actor_port_new_limited(self, 0, 0, cap);
}

enum motet_err motet_actor_port_new_limited(struct motet_self *self,
                                            uint32_t queue_msgs_max,
                                            uint32_t queue_bytes_max,
                                            struct motet_cap *cap)
{
    struct nuc_out out;
    struct nuc_in in = {.kind = NUC_PORT_NEW,
                        .attr = {.enabled = true,
                                 .queue_msgs_max = queue_msgs_max,
                                 .queue_bytes_max = queue_bytes_max}};

    if (self->table == &site_control) {
        in.port = ui_of_control(self->site->cfg.site);
    }
    enum motet_err err = op(self, &in, &out);
    if (err == MOTET_OK) {
        *cap = out.cap;
    }
    return err;
}

enum motet_err motet_actor_port_end(struct motet_self *self,
                                    struct motet_ui port)
{
    struct nuc_out out;

    const enum motet_err err =
        op(self, &(struct nuc_in){.kind = NUC_PORT_END, .port = port}, &out);
    if (err == MOTET_OK) {
        actors_forget(self, port, 0);
    }
    return err;
}

enum motet_err motet_actor_port_enable(struct motet_self *self,
                                       struct motet_ui port, bool enabled,
                                       uint8_t priority)
{
    struct nuc_out out;
    struct nuc_in info = {.kind = NUC_PORT_INFO, .port = port};

    enum motet_err err = op(self, &info, &out);
    if (err != MOTET_OK) {
        return err;
    }
    struct nuc_in in = {
        .kind = NUC_PORT_SET, .port = port, .attr = out.port.attr};
    in.attr.enabled = enabled;
    in.attr.priority = priority;
    return op(self, &in, &out);
}

enum motet_err motet_actor_group(struct motet_self *self, const char *name,
                                 struct motet_cap *cap)
{
    struct nuc_out out;
    struct nuc_in in = {.kind = NUC_GROUP_NEW,
                        .name = name == NULL ? "" : name};

    enum motet_err err = op(self, &in, &out);
    if (err == MOTET_OK) {
        *cap = out.cap;
    }
    return err;
}

enum motet_err motet_actor_join(struct motet_self *self,
                                const struct motet_cap *group,
                                struct motet_ui port)
{
    struct nuc_out out;

    return op(
        self,
        &(struct nuc_in){.kind = NUC_GROUP_INSERT, .cap = *group, .port = port},
        &out);
}

enum motet_err motet_actor_leave(struct motet_self *self,
                                 const struct motet_cap *group,
                                 struct motet_ui port)
{
    struct nuc_out out;

    return op(
        self,
        &(struct nuc_in){.kind = NUC_GROUP_REMOVE, .cap = *group, .port = port},
        &out);
}

/* ---- messages --------------------------------------------------------------
 */

struct motet_block {
    struct list link; /* of the actor whose it is */
    struct motet_self *self;
    struct buf *data;
};

enum motet_err motet_actor_block(struct motet_self *self, size_t size,
                                 struct motet_block **block, void **bytes)
{
    struct site *s = self->site;

    if (size == 0) {
        return MOTET_E_INVALID;
    }
    if (size > s->cfg.nucleus.body_bytes_max) {
        return MOTET_E_TOO_BIG;
    }
    struct motet_block *b = mem_alloc(&s->mem, sizeof *b);
    if (b == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    b->self = self;
    b->data = buf_new(&s->mem, (uint32_t)size);
    if (b->data == NULL) {
        mem_free(&s->mem, b, sizeof *b);
        return MOTET_E_NO_MEMORY;
    }
    list_append(&self->blocks, &b->link);
    *block = b;
    *bytes = b->data->data;
    return MOTET_OK;
}

void motet_actor_block_free(struct motet_self *self, struct motet_block *block)
{
    if (block == NULL) {
        return;
    }
    CHECK(block->self == self);
    list_remove(&block->link);
    buf_unref(block->data);
    mem_free(&self->site->mem, block, sizeof *block);
}

void self_drop_blocks(struct motet_self *self)
{
    list_foreach (it, &self->blocks) {
        motet_actor_block_free(self, LIST_ENTRY(it, struct motet_block, link));
    }
}

static enum motet_err fill(struct motet_self *self, const struct motet_out *out,
                           struct msg *m)
{
    struct site *s = self->site;
    size_t annex = out->annex.size;
    size_t body = out->body.size;

    if (out->block != NULL) {
        m->annex_bytes = 0;
        m->data = NULL;
        if (annex + body > 0 || out->block->self != self) {
            return MOTET_E_INVALID;
        }
        m->data = buf_ref(out->block->data);
        return MOTET_OK;
    }
    if (annex > MOTET_ANNEX_MAX || body > s->cfg.nucleus.body_bytes_max) {
        return MOTET_E_TOO_BIG;
    }
    m->annex_bytes = (uint8_t)annex;
    if (annex + body == 0) {
        m->data = NULL;
        return MOTET_OK;
    }
    const bool filled = (annex == 0 || out->annex.data != NULL) &&
                        (body == 0 || out->body.data != NULL);
    m->data = filled ? buf_raw(&s->mem, (uint32_t)(annex + body))
                     : buf_new(&s->mem, (uint32_t)(annex + body));
    if (m->data == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    if (annex > 0 && out->annex.data != NULL) {
        memcpy(m->data->data, out->annex.data, annex);
    }
    if (body > 0 && out->body.data != NULL) {
        memcpy(m->data->data + annex, out->body.data, body);
    }
    return MOTET_OK;
}

/* An operation that carries a message. */
static enum motet_err op_with(struct motet_self *self, struct nuc_in *in,
                              const struct motet_out *what, struct nuc_out *out)
{
    enum motet_err err = fill(self, what, &in->msg);

    if (err != MOTET_OK) {
        return err;
    }
    err = op(self, in, out);
    if (err != MOTET_OK) {
        buf_unref(in->msg.data);
    }
    return err;
}

/* The nucleus says nothing more of a send that it settled at once; an actor
 * that gave a token is told all the same. */
static void tell_settled(struct motet_self *self, struct motet_ui port,
                         uint64_t token)
{
    struct actor_event *event = ring_push(&self->site->events);

    *event = (struct actor_event){.e = {.kind = NUC_SENT,
                                        .actor = self->ui,
                                        .port = port,
                                        .token = token,
                                        .err = MOTET_OK}};
}

enum motet_err motet_actor_send(struct motet_self *self, struct motet_ui port,
                                const struct motet_dest *dest,
                                const struct motet_out *what,
                                int64_t timeout_ms, uint64_t token)
{
    struct nuc_out *out = &self->site->in.actor_out;
    struct nuc_in *in = &self->site->in.actor_send;

    in->kind = NUC_SEND;
    in->port = port;
    in->dest = *dest;
    in->deadline_ns = site_after_ms(self->site, timeout_ms);
    in->token = token;
    in->notify = token == 0 ? NUC_NOTIFY_FAILURE : NUC_NOTIFY_ALWAYS;
    in->wait = timeout_ms != 0;
    enum motet_err err = op_with(self, in, what, out);
    if (err == MOTET_OK && out->settled && token != 0) {
        tell_settled(self, port, token);
    }
    return err;
}

enum motet_err motet_actor_call(struct motet_self *self, struct motet_ui port,
                                const struct motet_dest *dest,
                                const struct motet_out *what,
                                int64_t timeout_ms, uint64_t *call)
{
    struct nuc_out *out = &self->site->in.actor_out;
    struct nuc_in *in = &self->site->in.actor_call;

    in->kind = NUC_CALL;
    in->port = port;
    in->dest = *dest;
    in->deadline_ns = site_after_ms(self->site, timeout_ms);
    enum motet_err err = op_with(self, in, what, out);
    if (err == MOTET_OK) {
        *call = out->call;
    }
    return err;
}

enum motet_err motet_actor_cancel(struct motet_self *self, uint64_t call)
{
    struct nuc_out out;

    return op(self, &(struct nuc_in){.kind = NUC_CANCEL, .call = call}, &out);
}

enum motet_err motet_actor_reply(struct motet_self *self, uint64_t held,
                                 const struct motet_out *what)
{
    struct nuc_in *in = &self->site->in.actor_reply;

    in->kind = NUC_REPLY;
    in->held = held;
    return op_with(self, in, what, &self->site->in.actor_out);
}

enum motet_err motet_actor_forward(struct motet_self *self, uint64_t held,
                                   const struct motet_dest *dest)
{
    struct nuc_out out;

    return op(
        self,
        &(struct nuc_in){.kind = NUC_FORWARD, .held = held, .dest = *dest},
        &out);
}

enum motet_err motet_actor_watch(struct motet_self *self, struct motet_ui port,
                                 struct motet_ui subject, uint64_t *watch)
{
    struct nuc_out out;
    struct nuc_in in = {.kind = NUC_WATCH, .port = port, .subject = subject};

    enum motet_err err = op(self, &in, &out);
    if (err == MOTET_OK) {
        *watch = out.watch;
    }
    return err;
}

enum motet_err motet_actor_unwatch(struct motet_self *self, uint64_t watch)
{
    struct nuc_out out;

    const enum motet_err err =
        op(self, &(struct nuc_in){.kind = NUC_UNWATCH, .watch = watch}, &out);
    if (err == MOTET_OK) {
        actors_forget(self, (struct motet_ui){0, 0}, watch);
    }
    return err;
}

enum motet_err motet_actor_member(struct motet_self *self,
                                  struct motet_ui group, uint32_t index,
                                  struct motet_ui *port)
{
    struct nuc_out out;
    struct nuc_in in = {
        .kind = NUC_GROUP_LIST, .dest = {.target = group}, .index = index};

    enum motet_err err = op(self, &in, &out);
    if (err == MOTET_OK) {
        *port = out.member.port;
    }
    return err;
}

/* ---- time ------------------------------------------------------------------
 */

static struct actor_timer *timer_of(struct motet_self *self, uint64_t id)
{
    list_foreach (it, &self->timers) {
        struct actor_timer *t = LIST_ENTRY(it, struct actor_timer, link);
        if (t->id == id) {
            return t;
        }
    }
    return NULL;
}

enum motet_err motet_actor_timer(struct motet_self *self, uint64_t timer,
                                 uint64_t after_ns)
{
    struct site *s = self->site;
    struct actor_timer *t = timer_of(self, timer);

    if (after_ns >= DEADLINE_NEVER - s->now_ns) {
        return MOTET_E_INVALID;
    }
    if (t == NULL) {
        if (self->timer_count == SITE_TIMERS_MAX) {
            return MOTET_E_LIMIT;
        }
        t = mem_alloc(&s->own, sizeof *t);
        if (t == NULL) {
            return MOTET_E_NO_MEMORY;
        }
        t->self = self;
        t->id = timer;
        list_append(&self->timers, &t->link);
        self->timer_count++;
    }
    CHECK(deadline_set(&s->timers, &t->deadline, s->now_ns + after_ns));
    return MOTET_OK;
}
