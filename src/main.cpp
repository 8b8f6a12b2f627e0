#include "xception/commands/program.h"

int main(int argc, char** argv) {
  return xception::run_program(argc, argv);
}
