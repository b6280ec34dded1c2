// Who started the threads of this process, and what its libraries want done around a fork. The program's own
// pthread_create, pthread_setname_np and __register_atfork stand before the C library's and keep the record.
#pragma once
#include <string>
#include <vector>

namespace power::kernel
{

struct ThreadOrigin {
    int tid = 0;
    std::string library; // file name of the library whose code started it: "libarrow.so.2601"
    std::string name;    // given by pthread_setname_np; may be empty
};

// The living threads that were started by pthread_create; the main one is not among them.
std::vector<ThreadOrigin> startedThreads();

// In a copy of the process that has one thread: the others never were.
void forgetThreads();

// The handlers that libraries registered with pthread_atfork, as fork(2) of the C library would call them.
void callPrepareHandlers();
void callParentHandlers();
void callChildHandlers();

} // namespace power::kernel
