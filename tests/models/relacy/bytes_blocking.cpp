/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <pthread.h> /* before relacy, which redefines its names */

#include "relacy/engine.hpp"

#undef malloc
#undef free /* a member of the allocator's table has that name */

#include "scenarios/bytes_blocking.c"

int main(int argc, char **argv)
{
    return model_main(argc, argv);
}
