/* Calls the name "hello", wherever it lives, and prints the reply.
 *
 *     cc hello_client.c $(pkg-config --cflags --libs motet) -o hello_client */
#include <motet/motet.h>
#include <stdio.h>

int main(void)
{
    struct motet *m;
    struct motet_msg reply;
    enum motet_err err = motet_attach(NULL, &m);
    if (err == MOTET_OK) {
        err =
            motet_call(m, motet_to("hello"), motet_body("hi", 2), &reply, 1000);
    }
    if (err == MOTET_OK) {
        printf("%.*s\n", (int)reply.body_bytes, (const char *)reply.body);
    } else {
        fprintf(stderr, "hello_client: %s\n", motet_err_text(err));
    }
    motet_detach(m);
    return err == MOTET_OK ? 0 : motet_err_ran(err) == MOTET_RAN_NO ? 4 : 5;
}
