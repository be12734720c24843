#include "client.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nucleus/base/ui.h"

static struct motet *client_new(int fd)
{
    struct motet *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->fd = fd;
    m->epoll_fd = -1;
    m->event_fd = -1;
    mem_init(&m->mem, SIZE_MAX / 2); /* of the program's own process */
    map_init(&m->by_id, &m->mem, now_ns());
    map_init(&m->by_ui, &m->mem, now_ns());
    list_init(&m->requests);
    list_init(&m->ports);
    list_init(&m->inbox);
    list_init(&m->orphans);
    list_init(&m->saved);
    list_init(&m->events);
    return m;
}

static void free_letters(struct motet *m, struct list *head)
{
    list_foreach (it, head) {
        letter_free(m, LIST_ENTRY(it, struct letter, link));
    }
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

static void client_free(struct motet *m)
{
    stream_lose(m); /* requests are events then */
    list_foreach (it, &m->events) {
        request_free(m, LIST_ENTRY(it, struct request, link));
    }
    request_free(m, m->told);
    free_letters(m, &m->inbox);
    free_letters(m, &m->orphans);
    free_letters(m, &m->saved);
    letter_free(m, m->received);
    letter_free(m, m->replied);
    list_foreach (it, &m->ports) {
        struct motet_port *port = LIST_ENTRY(it, struct motet_port, link);
        mem_free(&m->mem, port, sizeof *port);
    }
    map_fini(&m->by_id);
    map_fini(&m->by_ui);
    CHECK(m->mem.used_bytes == 0);
    close_fd(m->epoll_fd);
    close_fd(m->event_fd);
    close_fd(m->fd);
    free(m);
}

static enum motet_err greet(struct motet *m, const char *name)
{
    struct request r;
    struct attach_frame f = {
        .op = ATTACH_HELLO,
        .magic = ATTACH_MAGIC,
        .version = ATTACH_VERSION,
    };
    (void)snprintf(f.name, sizeof f.name, "%s", name);
    const enum motet_err err = request_ask(m, &f, &r);
    if (err != MOTET_OK) {
        return m->greeted != MOTET_OK ? m->greeted : err;
    }
    m->actor = r.result.source;
    m->site = r.result.target;
    m->body_max = r.result.body_bytes_max;
    memcpy(m->site_name, r.result.name, sizeof m->site_name);
    return MOTET_OK;
}

enum motet_err motet_attach_as(const char *where, const char *name,
                               struct motet **m)
{
    enum motet_err err;
    if (m == NULL) {
        return MOTET_E_INVALID;
    }
    *m = NULL;
    if (name != NULL && !ui_name_ok(name)) {
        return MOTET_E_INVALID;
    }
    const int fd = where_connect(where, &err);
    if (fd < 0) {
        return err;
    }
    struct motet *made = client_new(fd);
    if (made == NULL) {
        close(fd);
        return MOTET_E_NO_MEMORY;
    }
    err = greet(made, name != NULL ? name : "");
    if (err != MOTET_OK) {
        client_free(made);
        return err;
    }
    *m = made;
    return MOTET_OK;
}

enum motet_err motet_attach(const char *where, struct motet **m)
{
    return motet_attach_as(where, NULL, m);
}

void motet_detach(struct motet *m)
{
    if (m == NULL) {
        return;
    }
    if (!m->lost) {
        const struct attach_frame f = {.op = ATTACH_BYE, .id = m->last_id + 1};
        const enum motet_err err =
            stream_write(m, &f, NULL, 0, after_ms(LOCAL_MS));
        (void)err; /* without it the site sees a crash: also an end */
    }
    client_free(m);
}

struct motet_ui motet_ui(const struct motet *m)
{
    return m != NULL ? m->actor : (struct motet_ui){0};
}

struct motet_ui motet_site_ui(const struct motet *m)
{
    return m != NULL ? m->site : (struct motet_ui){0};
}

const char *motet_site_name(const struct motet *m)
{
    return m != NULL ? m->site_name : "";
}

size_t motet_body_max(const struct motet *m)
{
    return m != NULL ? m->body_max : 0;
}

bool motet_lost(const struct motet *m)
{
    return m != NULL && m->lost;
}

enum motet_err motet_actor_find(struct motet *m, const char *name,
                                struct motet_ui *actor)
{
    struct request r;
    struct attach_frame f = {.op = ATTACH_ACTOR_FIND};
    if (m == NULL || !ui_name_ok(name) || actor == NULL) {
        return MOTET_E_INVALID;
    }
    (void)snprintf(f.name, sizeof f.name, "%s", name);
    const enum motet_err err = request_ask(m, &f, &r);
    if (err == MOTET_OK) {
        *actor = r.result.target;
    }
    return err;
}
