#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inside.h"

/* The control socket: lines in, lines of JSON out. */

enum {
    CLIENTS_MAX = 32,
    BACKLOG = 16,
    UNREAD_MAX = 16 << 20, /* bytes of answers that nobody reads; then out */
};

struct control {
    uv_pipe_t pipe;
    struct net *net;
    uint32_t clients;
    unsigned handles; /* not yet closed: its own, and those of askers */
    struct list all;
    char path[108];
};

struct asker {
    uv_pipe_t pipe;
    struct list link;
    struct control *control;
    size_t size;
    char line[SWITCH_LINE_MAX];
};

struct answer {
    uv_write_t write;
    char *text;
};

static void let_go(struct control *c)
{
    if (--c->handles == 0) {
        free(c);
    }
}

static void on_asker_closed(uv_handle_t *handle)
{
    struct asker *a = handle->data;

    a->control->clients--;
    let_go(a->control);
    free(a);
}

static void asker_close(struct asker *a)
{
    if (!uv_is_closing((uv_handle_t *)&a->pipe)) {
        list_remove(&a->link);
        uv_close((uv_handle_t *)&a->pipe, on_asker_closed);
    }
}

static void on_answered(uv_write_t *write, int status)
{
    struct answer *w = write->data;

    (void)status;
    free(w->text);
    free(w);
}

/* Takes `doc`. */
static void answer(struct asker *a, json_t *doc)
{
    struct answer *w = calloc(1, sizeof *w);
    char *text = doc == NULL ? NULL : json_dumps(doc, JSON_COMPACT);

    CHECK(w != NULL && text != NULL);
    json_decref(doc);
    const size_t size = strlen(text);
    w->text = realloc(text, size + 2);
    CHECK(w->text != NULL);
    w->text[size] = '\n';
    w->write.data = w;
    const uv_buf_t buf = uv_buf_init(w->text, (unsigned)size + 1);
    if (uv_write(&w->write, (uv_stream_t *)&a->pipe, &buf, 1, on_answered) !=
        0) {
        free(w->text);
        free(w);
        asker_close(a);
    } else if (uv_stream_get_write_queue_size((uv_stream_t *)&a->pipe) >
               UNREAD_MAX) {
        asker_close(a);
    }
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct asker *a = handle->data;

    (void)size;
    *buf = uv_buf_init(a->line + a->size, (unsigned)(sizeof a->line - a->size));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct asker *a = stream->data;
    char *end;

    (void)buf;
    if (size < 0) {
        asker_close(a);
        return;
    }
    a->size += (size_t)size;
    while ((end = memchr(a->line, '\n', a->size)) != NULL) {
        *end = '\0';
        const size_t used = (size_t)(end - a->line) + 1;
        answer(a, control_answer(a->control->net, a->line));
        a->size -= used;
        memmove(a->line, a->line + used, a->size);
    }
    if (a->size == sizeof a->line) {
        asker_close(a); /* no line is that long */
    }
}

static void on_asker(uv_stream_t *stream, int status)
{
    struct control *c = stream->data;
    struct asker *a = calloc(1, sizeof *a);

    CHECK(a != NULL && uv_pipe_init(&c->net->loop, &a->pipe, 0) == 0);
    a->pipe.data = a;
    a->control = c;
    c->clients++;
    c->handles++;
    list_append(&c->all, &a->link);
    if (status != 0 || uv_accept(stream, (uv_stream_t *)&a->pipe) != 0 ||
        c->clients > CLIENTS_MAX ||
        uv_read_start((uv_stream_t *)&a->pipe, on_alloc, on_read) != 0) {
        asker_close(a);
    }
}

/* A socket that somebody answers is not ours to take. */
static bool is_answered(const char *path)
{
    const int fd = switch_connect(path);

    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

bool control_open(struct net *n, const char *path, char *why)
{
    struct control *c = calloc(1, sizeof *c);

    CHECK(c != NULL && uv_pipe_init(&n->loop, &c->pipe, 0) == 0);
    n->control = c;
    c->net = n;
    c->handles = 1;
    c->pipe.data = c;
    list_init(&c->all);
    if (strlen(path) >= sizeof c->path) {
        snprintf(why, WHY_MAX,
                 "%.120s...: the path of a socket has at most %zu "
                 "bytes",
                 path, sizeof c->path - 1);
        return false;
    }
    if (is_answered(path)) {
        snprintf(why, WHY_MAX, "%s: another switch answers there", path);
        return false;
    }
    (void)unlink(path);
    const mode_t old = umask(0077);
    int err = uv_pipe_bind(&c->pipe, path);
    (void)umask(old);
    err =
        err != 0 ? err : uv_listen((uv_stream_t *)&c->pipe, BACKLOG, on_asker);
    if (err != 0) {
        snprintf(why, WHY_MAX, "%.108s: %s", path, uv_strerror(err));
        return false;
    }
    snprintf(c->path, sizeof c->path, "%s", path);
    return true;
}

static void on_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

void control_close(struct net *n)
{
    struct control *c = n->control;

    list_foreach (it, &c->all) {
        asker_close(LIST_ENTRY(it, struct asker, link));
    }
    if (c->path[0] != '\0') {
        (void)unlink(c->path);
    }
    uv_close((uv_handle_t *)&c->pipe, on_closed);
}
