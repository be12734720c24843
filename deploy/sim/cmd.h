#ifndef SIM_CMD_H
#define SIM_CMD_H

/**
 * The command `motet sim`: "run" and "replay" with their options, as in
 * `motet sim --help`.
 *
 * @param argv  argv[0] is shown in messages: "motet sim"
 * @return the exit code: 0; 2 usage; 8 a promise was broken; 10 something did
 *         not end; 11 a run could not be repeated
 */
int sim_command(int argc, char **argv);

#endif
