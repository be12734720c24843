#include "cmd.h"

/* The simulator by itself, for builds of parts: `motet sim` is the same. */
int main(int argc, char **argv)
{
    return sim_command(argc, argv);
}
