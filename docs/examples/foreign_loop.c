/* Motet in a loop of one's own: what comes to the name "lines" is printed, what
 * is typed is sent there. The same works with epoll, libuv or GLib: one
 * descriptor, one call of motet_dispatch().
 *
 *     cc foreign_loop.c $(pkg-config --cflags --libs motet) -o foreign_loop */
#include <motet/motet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Everything that is there; then back to poll(). */
static enum motet_err take_all(struct motet *m)
{
    struct motet_msg msg;
    struct motet_event event;
    enum motet_err err = motet_dispatch(m);
    while (motet_receive_any(m, &msg, 0) == MOTET_OK) {
        printf("> %.*s\n", (int)msg.body_bytes, (const char *)msg.body);
        fflush(stdout);
    }
    while (motet_event(m, &event, 0) == MOTET_OK) {
        if (event.kind == MOTET_EVENT_SENT && event.err != MOTET_OK) {
            fprintf(stderr, "line %llu: %s\n", (unsigned long long)event.token,
                    motet_err_text(event.err));
        }
    }
    return err;
}

/* @return whether there may be more to read */
static int send_typed(struct motet_port *port, unsigned long long line)
{
    char text[1024];
    const ssize_t size = read(STDIN_FILENO, text, sizeof text);
    if (size <= 0) {
        return 0;
    }
    size_t used = (size_t)size;
    while (used > 0 && text[used - 1] == '\n') {
        used--;
    }
    const enum motet_err err = motet_send_start(
        port, motet_to("lines"), motet_body(text, used), 5000, line);
    if (err != MOTET_OK) {
        fprintf(stderr, "line %llu: %s\n", line, motet_err_text(err));
    }
    return 1;
}

int main(void)
{
    struct motet *m;
    struct motet_port *port = NULL;
    enum motet_err err = motet_attach(NULL, &m);
    if (err == MOTET_OK) {
        err = motet_port_create(m, "lines", &port);
    }
    if (err == MOTET_OK) {
        err = motet_prefetch(m, 8);
    }
    struct pollfd fds[2] = {{.fd = motet_fd(m), .events = POLLIN},
                            {.fd = STDIN_FILENO, .events = POLLIN}};
    for (unsigned long long line = 1; err == MOTET_OK;) {
        if (poll(fds, 2, -1) < 0) {
            break;
        }
        if (fds[1].revents != 0 && !send_typed(port, line++)) {
            fds[1].fd = -1; /* the end of what is typed */
        }
        err = take_all(m);
    }
    fprintf(stderr, "foreign_loop: %s\n", motet_err_text(err));
    motet_detach(m);
    return 1;
}
