#include "directory_priv.h"

void dir_outs_init(struct directory *d)
{
    list_init(&d->outs);
    pool_init(&d->send_pool, d->cfg.mem, sizeof(struct dir_send),
              DIR_SENDS_MAX);
}

static void send_release(struct directory *d, struct dir_send *send)
{
    dir_packet_unref(d, send->packet);
    pool_put(&d->send_pool, send);
}

void dir_outs_fini(struct directory *d)
{
    if (d->taken != NULL) {
        send_release(d, d->taken);
        d->taken = NULL;
    }
    list_foreach (it, &d->outs) {
        struct dir_out *out = LIST_ENTRY(it, struct dir_out, node);
        list_remove(it);
        if (out->send) {
            send_release(d, CONTAINER_OF(out, struct dir_send, out));
            continue;
        }
        struct entry *e = CONTAINER_OF(out, struct entry, out);
        if (e->author == NULL) {
            mem_free(d->cfg.mem, e, sizeof *e);
        }
    }
    pool_fini(&d->send_pool);
}

void dir_tell(struct directory *d, struct entry *e)
{
    list_remove(&e->out.node);
    list_append(&d->outs, &e->out.node);
}

static struct dir_packet *packet_new(struct directory *d, size_t tail_bytes)
{
    const size_t size = sizeof(struct dir_packet) + tail_bytes;
    struct dir_packet *packet = mem_alloc(d->cfg.mem, size);
    if (packet != NULL) {
        packet->refs = 1;
        packet->size_bytes = size;
    }
    return packet;
}

struct dir_packet *dir_packet_records(struct directory *d, uint32_t count,
                                      struct record **records)
{
    struct dir_packet *packet = packet_new(d, count * sizeof **records);
    if (packet == NULL) {
        return NULL;
    }
    *records = (struct record *)(void *)(packet + 1);
    packet->msg.kind = DIR_DELTA;
    packet->msg.record_count = count;
    packet->msg.records = *records;
    return packet;
}

struct dir_packet *dir_packet_digest(struct directory *d, uint32_t count,
                                     struct dir_digest **digest)
{
    struct dir_packet *packet = packet_new(d, count * sizeof **digest);
    if (packet == NULL) {
        return NULL;
    }
    *digest = (struct dir_digest *)(void *)(packet + 1);
    packet->msg.kind = DIR_DIGEST;
    packet->msg.digest_count = count;
    packet->msg.digest = *digest;
    return packet;
}

void dir_packet_unref(struct directory *d, struct dir_packet *packet)
{
    packet->refs--;
    if (packet->refs == 0) {
        mem_free(d->cfg.mem, packet, packet->size_bytes);
    }
}

void dir_send(struct directory *d, uint64_t site, struct dir_packet *packet)
{
    struct dir_send *send = pool_take(&d->send_pool);
    if (send == NULL) {
        return;
    }
    send->out.send = true;
    send->site = site;
    send->packet = packet;
    packet->refs++;
    list_append(&d->outs, &send->out.node);
}

static void take_entry(struct directory *d, struct entry *e)
{
    d->record = e->r;
    d->record.present = e->author != NULL && e->r.present;
    d->effect = (struct dir_effect){
        .kind = e->r.kind == RECORD_MEMBER ? DIR_MEMBER : DIR_OWNER,
        .site = e->site,
        .incarnation = e->author != NULL ? e->author->incarnation : 0,
        .in = d->record.present,
        .record = &d->record,
    };
    if (e->author == NULL) {
        mem_free(d->cfg.mem, e, sizeof *e);
    }
}

const struct dir_effect *directory_effect(struct directory *d)
{
    if (d->taken != NULL) {
        send_release(d, d->taken);
        d->taken = NULL;
    }
    struct list *first = list_first(&d->outs);
    if (first == NULL) {
        return NULL;
    }
    list_remove(first);
    struct dir_out *out = LIST_ENTRY(first, struct dir_out, node);
    if (!out->send) {
        take_entry(d, CONTAINER_OF(out, struct entry, out));
        return &d->effect;
    }
    d->taken = CONTAINER_OF(out, struct dir_send, out);
    d->effect = (struct dir_effect){
        .kind = DIR_SEND,
        .site = d->taken->site,
        .msg = &d->taken->packet->msg,
    };
    return &d->effect;
}
