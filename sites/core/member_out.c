#include <string.h>

#include "member_priv.h"

static uint32_t notes_wanted(uint32_t sites)
{
    return sites * NOTES_PER_SITE + NOTES_BASE;
}

void member_outs_init(struct members *m)
{
    list_init(&m->outs);
    list_init(&m->spare);
    pool_init(&m->packet_pool, m->cfg.mem, sizeof(struct member_packet),
              PACKETS_MAX);
}

static void note_free(struct members *m, struct member_note *note)
{
    m->notes--;
    mem_free(m->cfg.mem, note, sizeof *note);
}

static void out_release(struct members *m, struct member_out *out)
{
    if (out->packet) {
        pool_put(&m->packet_pool, CONTAINER_OF(out, struct member_packet, out));
        return;
    }
    struct member_note *note = CONTAINER_OF(out, struct member_note, out);
    if (m->notes > notes_wanted(m->count)) {
        note_free(m, note);
        return;
    }
    list_append(&m->spare, &out->node);
}

void member_outs_fini(struct members *m)
{
    if (m->taken != NULL) {
        out_release(m, m->taken);
        m->taken = NULL;
    }
    list_foreach (it, &m->outs) {
        list_remove(it);
        out_release(m, LIST_ENTRY(it, struct member_out, node));
    }
    list_foreach (it, &m->spare) {
        list_remove(it);
        struct member_out *out = LIST_ENTRY(it, struct member_out, node);
        note_free(m, CONTAINER_OF(out, struct member_note, out));
    }
    pool_fini(&m->packet_pool);
}

bool member_outs_reserve(struct members *m, uint32_t sites)
{
    while (m->notes < notes_wanted(sites)) {
        struct member_note *note = mem_alloc(m->cfg.mem, sizeof *note);
        if (note == NULL) {
            return false;
        }
        m->notes++;
        list_append(&m->spare, &note->out.node);
    }
    return true;
}

void member_tell(struct members *m, enum member_effect_kind kind,
                 const struct member_update *u)
{
    struct list *first = list_first(&m->spare);
    if (first == NULL && kind == MEMBER_MEET) {
        return; /* it is repeated */
    }
    /* One step needs no more than was reserved, and all effects are taken
     * after each step. */
    CHECK(first != NULL);
    list_remove(first);
    struct member_out *out = LIST_ENTRY(first, struct member_out, node);
    struct member_note *note = CONTAINER_OF(out, struct member_note, out);
    memcpy(note->name, u->name, sizeof note->name);
    memcpy(note->address, u->address, sizeof note->address);
    out->effect = (struct member_effect){
        .kind = kind,
        .site = u->site,
        .incarnation = u->incarnation,
        .state = u->state,
        .name = note->name,
        .address = note->address,
    };
    list_append(&m->outs, &out->node);
}

struct member_msg *member_packet(struct members *m, enum member_msg_kind kind)
{
    struct member_packet *packet = pool_take(&m->packet_pool);
    if (packet == NULL) {
        return NULL;
    }
    packet->out.packet = true;
    packet->msg.kind = kind;
    return &packet->msg;
}

void member_packet_send(struct members *m, struct member_msg *msg,
                        const struct member *to)
{
    struct member_packet *packet = CONTAINER_OF(msg, struct member_packet, msg);
    packet->out.effect = (struct member_effect){
        .kind = MEMBER_SEND,
        .site = to->u.site,
        .incarnation = to->u.incarnation,
        .state = to->u.state,
        .msg = msg,
    };
    list_append(&m->outs, &packet->out.node);
}

const struct member_effect *members_effect(struct members *m)
{
    if (m->taken != NULL) {
        out_release(m, m->taken);
        m->taken = NULL;
    }
    struct list *first = list_first(&m->outs);
    if (first == NULL) {
        return NULL;
    }
    list_remove(first);
    m->taken = LIST_ENTRY(first, struct member_out, node);
    return &m->taken->effect;
}
