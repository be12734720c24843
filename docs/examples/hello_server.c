/* Answers every call to the name "hello".
 *
 *     cc hello_server.c $(pkg-config --cflags --libs motet) -o hello_server */
#include <motet/motet.h>
#include <stdio.h>

int main(void)
{
    struct motet *m;
    struct motet_port *port = NULL;
    struct motet_msg msg;
    enum motet_err err = motet_attach(NULL, &m);
    if (err == MOTET_OK) {
        err = motet_port_create(m, "hello", &port);
    }
    while (err == MOTET_OK) {
        err = motet_receive(port, &msg, MOTET_FOREVER);
        motet_reply(&msg, "hello back", 10);
    }
    fprintf(stderr, "hello_server: %s\n", motet_err_text(err));
    motet_detach(m);
    return 1;
}
