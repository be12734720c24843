/* A counter whose port can move: start one on each site, one of them with a
 * name to serve under; then move_port moves it between them while it is in use.
 *
 *     moving_counter tally &            serves the name "tally"
 *     MOTET_SITE=site2 moving_counter & waits for ports to come
 *     motet call tally hello            2
 *
 *     moving_counter - copies           also sends what comes on to "copies"
 *
 * It answers each call with how many messages the port has had, wherever it was
 * then: a port brings its ordinal along. It prints that number, the annex as
 * hex digits (or -) and the body of each message, and what ports do.
 *
 *     cc moving_counter.c $(pkg-config --cflags --libs motet) */
#include <inttypes.h>
#include <motet/motet.h>
#include <stdio.h>
#include <string.h>

static void serve(const struct motet_msg *msg)
{
    char count[24];
    const unsigned char *annex = msg->annex;
    const int size = snprintf(count, sizeof count, "%" PRIu64, msg->seq);
    printf("%s ", count);
    for (size_t i = 0; i < msg->annex_bytes; i++) {
        printf("%02x", annex[i]);
    }
    printf("%s %.*s\n", msg->annex_bytes == 0 ? "-" : "", (int)msg->body_bytes,
           (const char *)msg->body);
    fflush(stdout);
    if (msg->kind == MOTET_MSG_CALL) {
        motet_reply(msg, count, (size_t)size);
    }
}

/* Sends a message on from the port that it came on, while it is here. What was
 * begun before the port left goes on with it. */
static enum motet_err copy(struct motet *m, const struct motet_msg *msg,
                           const char *name)
{
    const struct motet_out out =
        motet_annexed(msg->annex, msg->annex_bytes, msg->body, msg->body_bytes);
    enum motet_err err = motet_send(msg->port, motet_to(name), out, 10000);
    if (err == MOTET_E_MOVED) {
        err = motet_send(motet_own_port(m), motet_to(name), out, 10000);
    }
    return err == MOTET_E_MAYBE_MOVED ? MOTET_OK : err;
}

/* Waits for a port to come. */
static enum motet_err await(struct motet *m, struct motet_port **port)
{
    struct motet_event event;
    enum motet_err err = MOTET_OK;
    while (err == MOTET_OK && *port == NULL) {
        err = motet_event(m, &event, MOTET_FOREVER);
        if (err == MOTET_OK && event.kind == MOTET_EVENT_PORT_ADOPTED) {
            *port = motet_port_find(m, event.port); /* NULL: it has left */
            printf("adopted after %" PRIu64 "\n", event.seq);
            fflush(stdout);
        }
    }
    return err;
}

int main(int argc, char **argv)
{
    struct motet *m;
    struct motet_port *port = NULL;
    struct motet_msg msg;
    enum motet_err err = motet_attach_as(NULL, "counter-program", &m);
    if (err == MOTET_OK) {
        err = motet_adopts(m, true);
    }
    if (err == MOTET_OK && argc > 1 && strcmp(argv[1], "-") != 0) {
        err = motet_port_create(m, argv[1], &port);
    }
    while (err == MOTET_OK) {
        err = await(m, &port);
        if (err == MOTET_OK) {
            err = motet_receive(port, &msg, MOTET_FOREVER);
        }
        if (err == MOTET_OK) {
            serve(&msg);
            err = argc > 2 ? copy(m, &msg, argv[2]) : MOTET_OK;
        } else if (err == MOTET_E_MOVED) { /* all that came is served */
            motet_port_delete(port);
            port = NULL;
            err = MOTET_OK;
        }
    }
    fprintf(stderr, "moving_counter: %s\n", motet_err_text(err));
    motet_detach(m);
    return 1;
}
