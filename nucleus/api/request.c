#include <string.h>

#include "client.h"

void letter_free(struct motet *m, struct letter *letter)
{
    if (letter != NULL) {
        list_remove(&letter->link);
        mem_free(&m->mem, letter, sizeof *letter + letter->total);
    }
}

bool request_add(struct motet *m, struct request *r, enum attach_op op)
{
    r->op = op;
    r->id = m->last_id + 1;
    if (!map_put(&m->by_id, r->id, 0, r)) {
        return false;
    }
    m->last_id = r->id;
    list_append(&m->requests, &r->link);
    return true;
}

void request_remove(struct motet *m, struct request *r)
{
    if (map_get(&m->by_id, r->id, 0) == r) {
        (void)map_remove(&m->by_id, r->id, 0);
        list_remove(&r->link);
        m->prefetching -= r->prefetch;
    }
}

struct request *request_new(struct motet *m, enum attach_op op)
{
    struct request *r = mem_alloc(&m->mem, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->async = true;
    if (!request_add(m, r, op)) {
        mem_free(&m->mem, r, sizeof *r);
        return NULL;
    }
    return r;
}

void request_free(struct motet *m, struct request *r)
{
    if (r != NULL) {
        letter_free(m, r->letter);
        mem_free(&m->mem, r, sizeof *r);
    }
}

void request_tell(struct motet *m, struct request *r,
                  enum motet_event_kind kind, enum motet_err err)
{
    const struct letter *l = r->letter;
    r->event.kind = kind;
    r->event.err = err;
    if (l != NULL) {
        r->view = (struct motet_view){
            .source = l->source,
            .annex = l->data,
            .annex_bytes = l->annex_bytes,
            .body = l->data + l->annex_bytes,
            .body_bytes = l->total - l->annex_bytes,
        };
        r->event.reply = &r->view;
    }
    list_append(&m->events, &r->link);
}

enum motet_err request_ask(struct motet *m, struct attach_frame *f,
                           struct request *r)
{
    *r = (struct request){0};
    if (m->lost) {
        return MOTET_E_DETACHED;
    }
    if (!request_add(m, r, f->op)) {
        return MOTET_E_NO_MEMORY;
    }
    if (f->op != ATTACH_PORT_INFO) { /* that is of anybody's */
        r->port = f->port;
    }
    f->id = r->id;
    enum motet_err err = stream_say(m, f, NULL, 0);
    uint64_t by_ns = after_ms(PATIENCE_MS);
    while (err == MOTET_OK && !r->done) {
        err = stream_read(m, by_ns);
        if (err == MOTET_E_TIMEOUT && m->frozen) {
            by_ns = after_ms(PATIENCE_MS);
            err = MOTET_OK;
        }
    }
    if (r->done) {
        return r->result.err;
    }
    /* Nobody knows what became of it: this attachment cannot go on. */
    request_remove(m, r);
    stream_lose(m);
    loop_signal(m);
    return MOTET_E_DETACHED;
}
