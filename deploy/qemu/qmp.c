#include "qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool fail(char *why, const char *what)
{
    snprintf(why, QMP_WHY_MAX, "%s", what);
    return false;
}

/* More bytes, by `end`. */
static bool fill(struct qmp *q, int64_t end, char *why)
{
    struct pollfd p = {.fd = q->fd, .events = POLLIN};
    const int64_t left = end - now_ms();

    if (q->size == sizeof q->in) {
        return fail(why, "QEMU says too much in one line");
    }
    if (left <= 0 || poll(&p, 1, (int)left) <= 0) {
        return fail(why, "QEMU does not answer");
    }
    ssize_t n = recv(q->fd, q->in + q->size, sizeof q->in - q->size, 0);
    if (n <= 0) {
        return fail(why, "QEMU has ended");
    }
    q->size += (size_t)n;
    return true;
}

/* The next object. @return NULL and `why` */
static json_t *next(struct qmp *q, int64_t end, char *why)
{
    json_error_t error;
    char *line;

    while ((line = memchr(q->in, '\n', q->size)) == NULL) {
        if (!fill(q, end, why)) {
            return NULL;
        }
    }
    const size_t length = (size_t)(line - q->in) + 1;
    json_t *object = json_loadb(q->in, length, 0, &error);
    memmove(q->in, q->in + length, q->size - length);
    q->size -= length;
    if (object == NULL) {
        (void)fail(why, "QEMU answers what is no JSON");
    }
    return object;
}

static bool put(struct qmp *q, json_t *object, char *why)
{
    char *text = json_dumps(object, JSON_COMPACT);

    CHECK(text != NULL);
    const size_t size = strlen(text);
    text[size] = '\n';
    ssize_t n = send(q->fd, text, size + 1, MSG_NOSIGNAL);
    free(text);
    return n == (ssize_t)size + 1 || fail(why, "QEMU does not listen");
}

/* The answer to a command, past events. @return NULL and `why` */
static json_t *answer_to(struct qmp *q, const char *name, json_t *args,
                         int timeout_ms, char *why)
{
    const int64_t end = now_ms() + timeout_ms;
    json_t *object = json_pack("{s:s}", "execute", name);
    json_t *answer = NULL;

    CHECK(object != NULL);
    if (args != NULL) {
        CHECK(json_object_set_new(object, "arguments", args) == 0);
    }
    const bool ok = put(q, object, why);
    json_decref(object);
    while (ok && (answer = next(q, end, why)) != NULL) {
        const json_t *error = json_object_get(answer, "error");
        if (json_object_get(answer, "return") != NULL) {
            return answer;
        }
        if (error != NULL) {
            const char *text =
                json_string_value(json_object_get(error, "desc"));
            (void)fail(why, text != NULL ? text : "refused");
            json_decref(answer);
            return NULL;
        }
        json_decref(answer);
    }
    return NULL;
}

bool qmp_command(struct qmp *q, const char *name, json_t *args, int timeout_ms,
                 char *why)
{
    json_t *answer = answer_to(q, name, args, timeout_ms, why);

    json_decref(answer);
    return answer != NULL;
}

bool qmp_ask(struct qmp *q, const char *name, const char *key, char *text,
             size_t size, int timeout_ms, char *why)
{
    json_t *answer = answer_to(q, name, NULL, timeout_ms, why);
    const char *value = json_string_value(
        json_object_get(json_object_get(answer, "return"), key));

    snprintf(text, size, "%s", value != NULL ? value : "");
    json_decref(answer);
    return answer != NULL;
}

bool qmp_event(struct qmp *q, const char *name, int timeout_ms, char *why)
{
    const int64_t end = now_ms() + timeout_ms;
    json_t *object;

    while ((object = next(q, end, why)) != NULL) {
        const char *event = json_string_value(json_object_get(object, "event"));
        const bool found = event != NULL && strcmp(event, name) == 0;
        json_decref(object);
        if (found) {
            return true;
        }
    }
    return false;
}

static int reach(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    union {
        struct sockaddr_un *un;
        struct sockaddr *any;
    } u = {.un = &addr};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    snprintf(addr.sun_path, sizeof addr.sun_path, "%.107s", path);
    if (connect(fd, u.any, sizeof addr) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

struct qmp *qmp_open(const char *path, int timeout_ms, char *why)
{
    const int fd = reach(path);
    json_t *greeting;

    if (fd < 0) {
        snprintf(why, QMP_WHY_MAX, "%.180s: %s", path, strerror(errno));
        return NULL;
    }
    struct qmp *q = calloc(1, sizeof *q);
    CHECK(q != NULL);
    q->fd = fd;
    greeting = next(q, now_ms() + timeout_ms, why);
    if (greeting == NULL) {
        qmp_close(q);
        return NULL;
    }
    json_decref(greeting);
    if (!qmp_command(q, "qmp_capabilities", NULL, timeout_ms, why)) {
        qmp_close(q);
        return NULL;
    }
    return q;
}

void qmp_close(struct qmp *q)
{
    if (q != NULL) {
        close(q->fd);
        free(q);
    }
}
