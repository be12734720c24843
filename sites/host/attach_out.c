#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "attach_inside.h"

static void item_free(struct peer *p, struct out_item *item)
{
    list_remove(&item->link);
    const size_t bytes = sizeof *item + item->parcel.field_bytes;
    p->out_bytes -= bytes + item->parcel.total;
    buf_unref(item->data);
    mem_free(&p->server->mem, item, bytes);
}

void peer_drop_out(struct peer *p)
{
    while (!list_empty(&p->out)) {
        item_free(p, LIST_ENTRY(p->out.next, struct out_item, link));
    }
    CHECK(p->out_bytes == 0);
}

void peer_push(struct peer *p, const struct attach_frame *f, struct buf *data)
{
    uint8_t fields[ATTACH_FIELDS_MAX];
    if (p->mute || p->ended || p->doomed) {
        return;
    }
    const size_t field_bytes = attach_fields(f, fields);
    struct out_item *item =
        mem_alloc(&p->server->mem, sizeof *item + field_bytes);
    if (item == NULL) {
        peer_doom(p, "no memory left for its answers");
        return;
    }
    CHECK(f->total == (data != NULL ? data->size : 0));
    memcpy(item->fields, fields, field_bytes);
    item->data = buf_ref(data);
    item->parcel = (struct attach_parcel){
        .op = f->op,
        .id = f->id,
        .fields = item->fields,
        .field_bytes = (uint32_t)field_bytes,
        .total = f->total,
    };
    list_append(&p->out, &item->link);
    p->out_bytes += sizeof *item + field_bytes + f->total;
    guest_dirty(p);
}

/* As many frames as fit in one packet. @return its size */
static size_t compose(struct peer *p)
{
    struct attach *a = p->server;
    struct writer w = writer_of(a->out, sizeof a->out);
    list_foreach (it, &p->out) {
        struct out_item *item = LIST_ENTRY(it, struct out_item, link);
        const uint32_t from = item->parcel.at;
        uint32_t chunk;
        if (!attach_cut(&item->parcel, &w, w.size - w.at, &chunk)) {
            break;
        }
        if (chunk > 0) {
            write_span(&w, item->data->data + from, chunk);
        }
        if (!attach_cut_done(&item->parcel)) {
            break;
        }
    }
    CHECK(writer_ok(&w) && w.at > 0);
    return w.at;
}

/* The packet was not taken: its frames are as they were. Only the first one can
 * have been begun before. */
static void undo(struct peer *p, struct out_item *first,
                 const struct attach_parcel *was)
{
    list_foreach (it, &p->out) {
        struct out_item *item = LIST_ENTRY(it, struct out_item, link);
        item->parcel.at = 0;
        item->parcel.begun = false;
    }
    first->parcel = *was;
}

static void drop_done(struct peer *p)
{
    list_foreach (it, &p->out) {
        struct out_item *item = LIST_ENTRY(it, struct out_item, link);
        if (!attach_cut_done(&item->parcel)) {
            break;
        }
        item_free(p, item);
    }
}

void peer_write(struct peer *p)
{
    while (!list_empty(&p->out)) {
        struct out_item *first = LIST_ENTRY(p->out.next, struct out_item, link);
        const struct attach_parcel was = first->parcel;
        const size_t size = compose(p);
        if (send(p->fd, p->server->out, size, MSG_DONTWAIT | MSG_NOSIGNAL) >=
            0) {
            drop_done(p);
            continue;
        }
        undo(p, first, &was);
        if (errno == EINTR) {
            continue;
        }
        if (errno == EAGAIN || errno == ENOBUFS) {
            p->blocked = true;
            return;
        }
        /* It has gone; what it said before is still to be read. */
        p->mute = true;
        peer_drop_out(p);
    }
    p->blocked = false;
}

static size_t gone_frame(uint8_t out[ATTACH_HEADER_BYTES + ATTACH_FIELDS_MAX],
                         enum motet_err err)
{
    uint8_t fields[ATTACH_FIELDS_MAX];
    const struct attach_frame f = {.op = ATTACH_GONE, .err = err};
    struct attach_parcel parcel = {
        .op = f.op,
        .fields = fields,
        .field_bytes = (uint32_t)attach_fields(&f, fields),
    };
    const size_t room = ATTACH_HEADER_BYTES + ATTACH_FIELDS_MAX;
    struct writer w = writer_of(out, room);
    uint32_t chunk;
    CHECK(attach_cut(&parcel, &w, room, &chunk));
    return w.at;
}

void socket_gone(int fd, enum motet_err err)
{
    uint8_t frame[ATTACH_HEADER_BYTES + ATTACH_FIELDS_MAX];
    const size_t size = gone_frame(frame, err);
    (void)send(fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void peer_gone(struct peer *p, enum motet_err err)
{
    struct list *first = list_first(&p->out);
    if (first != NULL) {
        const struct attach_parcel *parcel =
            &LIST_ENTRY(first, struct out_item, link)->parcel;
        if (parcel->begun) {
            uint8_t frame[ATTACH_HEADER_BYTES];
            struct writer w = writer_of(frame, sizeof frame);
            attach_void(parcel->op, parcel->id, &w);
            (void)send(p->fd, frame, w.at, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
    }
    peer_drop_out(p);
    socket_gone(p->fd, err);
}
