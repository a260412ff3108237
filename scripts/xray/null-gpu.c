// A Vulkan layer that lets a program compile kernels for a GPU that is not there.
//
// Mesa's RADV pretends to be any AMD GPU when RADV_FORCE_FAMILY says which: it compiles to machine code, but it has no memory, and
// crashes when it is to run commands. This layer answers such calls itself: memory is the host's, and commands are "done". All others
// are passed on to the driver. Nothing is ever computed: what the driver says of the code it made is all there is.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// The little that is needed of vulkan.h and vk_layer.h, so that only a C compiler has to be there.
typedef void (*Function)(void);
typedef Function (*GetProc)(void* owner, const char* name);
typedef struct Header { // how every Vulkan structure begins
  int32_t type;
  const struct Header* next;
} Header;
typedef struct Link { // the layer or driver below this one
  struct Link* next;
  GetProc instance_proc;
  GetProc device_proc;
} Link;
typedef struct {
  Header header;
  int32_t function;
  Link* link;
} LoaderInfo;
enum { SUCCESS = 0, OUT_OF_HOST_MEMORY = -1, INITIALIZATION_FAILED = -3 };
enum { LINK_INFO = 0, LOADER_INSTANCE_INFO = 47, LOADER_DEVICE_INFO = 48 };

static GetProc instance_below, device_below;

static int32_t done(void) { return SUCCESS; } // by the C calling conventions a callee may leave its arguments alone
static void nothing(void) {}

// Timeline semaphores stand at the end of time: every wait is over.
static int32_t counter(void* device, uint64_t semaphore, uint64_t* value) {
  (void)device, (void)semaphore;
  *value = UINT64_MAX >> 1;
  return SUCCESS;
}

static int32_t create_fence(void* device, const void* info, const void* allocator, uint64_t* fence) {
  (void)device, (void)info, (void)allocator;
  *fence = 1;
  return SUCCESS;
}

// As a file, a fence that has been passed is -1.
static int32_t fence_file(void* device, const void* info, int* file) {
  (void)device, (void)info;
  *file = -1;
  return SUCCESS;
}

// One type of memory, which can do all that memory can: host memory, zeroed, whose handle is its address.
typedef struct {
  uint32_t types;
  struct {
    uint32_t flags, heap;
  } type[32];
  uint32_t heaps;
  struct {
    uint64_t bytes;
    uint32_t flags;
  } heap[16];
} MemoryProperties;
enum { DEVICE_LOCAL = 1, HOST_VISIBLE = 2, HOST_COHERENT = 4, HOST_CACHED = 8, LOCAL_HEAP = 1 };

static void memory_properties(void* gpu, MemoryProperties* out) {
  (void)gpu;
  *out = (MemoryProperties){.types = 1, .heaps = 1};
  out->type[0].flags = DEVICE_LOCAL | HOST_VISIBLE | HOST_COHERENT | HOST_CACHED;
  out->heap[0].bytes = 64ull << 30;
  out->heap[0].flags = LOCAL_HEAP;
}

typedef struct {
  Header header;
  MemoryProperties properties;
} MemoryProperties2;
static void memory_properties2(void* gpu, MemoryProperties2* out) { memory_properties(gpu, &out->properties); }

typedef struct {
  uint64_t bytes, alignment;
  uint32_t types;
} Requirements;
typedef struct {
  Header header;
  Requirements requirements;
} Requirements2;
static void (*requirements_below)(void*, uint64_t, Requirements*);
static void requirements(void* device, uint64_t buffer, Requirements* out) {
  requirements_below(device, buffer, out);
  out->types = 1; // the driver knows of no memory at all
}
static void (*requirements2_below)(void*, const void*, Requirements2*);
static void requirements2(void* device, const void* buffer, Requirements2* out) {
  requirements2_below(device, buffer, out);
  out->requirements.types = 1;
}

typedef struct {
  Header header;
  uint64_t bytes;
} AllocateInfo;
static int32_t allocate(void* device, const AllocateInfo* info, const void* allocator, uint64_t* memory) {
  (void)device, (void)allocator;
  *memory = (uint64_t)(uintptr_t)calloc(1, info->bytes);
  return *memory ? SUCCESS : OUT_OF_HOST_MEMORY;
}
static void release(void* device, uint64_t memory, const void* allocator) {
  (void)device, (void)allocator;
  free((void*)(uintptr_t)memory);
}
static int32_t map(void* device, uint64_t memory, uint64_t offset, uint64_t bytes, uint32_t flags, void** data) {
  (void)device, (void)bytes, (void)flags;
  *data = (char*)(uintptr_t)memory + offset;
  return SUCCESS;
}

static const struct {
  const char* prefix;
  Function answer;
} answers[] = {
    {"vkCmd", nothing},
    {"vkBeginCommandBuffer", (Function)done},
    {"vkEndCommandBuffer", (Function)done},
    {"vkResetCommand", (Function)done},
    {"vkQueueSubmit", (Function)done},
    {"vkQueueWaitIdle", (Function)done},
    {"vkDeviceWaitIdle", (Function)done},
    {"vkWaitForFences", (Function)done},
    {"vkCreateFence", (Function)create_fence},
    {"vkDestroyFence", nothing},
    {"vkResetFences", (Function)done},
    {"vkGetFenceStatus", (Function)done},
    {"vkGetFenceFd", (Function)fence_file},
    {"vkWaitSemaphores", (Function)done},
    {"vkGetSemaphoreCounterValue", (Function)counter},
    {"vkGetPhysicalDeviceMemoryProperties2", (Function)memory_properties2},
    {"vkGetPhysicalDeviceMemoryProperties", (Function)memory_properties},
    {"vkGetBufferMemoryRequirements2", (Function)requirements2},
    {"vkGetBufferMemoryRequirements", (Function)requirements},
    {"vkAllocateMemory", (Function)allocate},
    {"vkFreeMemory", (Function)release},
    {"vkMapMemory", (Function)map},
    {"vkUnmapMemory", nothing},
    {"vkFlushMappedMemoryRanges", (Function)done},
    {"vkInvalidateMappedMemoryRanges", (Function)done},
    {"vkBindBufferMemory", (Function)done},
    {"vkUpdateDescriptorSet", nothing}, // the driver would look for its own memory behind the buffers
};

// This layer's answer to a call, by the first prefix that fits (extensions hang a KHR on); null where the driver is asked.
static Function answer(const char* name) {
  for (unsigned i = 0; i < sizeof answers / sizeof *answers; i++)
    if (!strncmp(name, answers[i].prefix, strlen(answers[i].prefix))) return answers[i].answer;
  return 0;
}

// Takes this layer's entry off the chain in a create-info, as the loader asks of every layer, and gives what is below it.
static Link* next_link(const Header* info, int32_t type) {
  for (const Header* at = info->next; at; at = at->next) {
    LoaderInfo* loader = (LoaderInfo*)at;
    if (at->type != type || loader->function != LINK_INFO) continue;
    Link* link = loader->link;
    loader->link = link->next;
    return link;
  }
  return 0;
}

static int32_t create_instance(const Header* info, const void* allocator, void** instance) {
  Link* link = next_link(info, LOADER_INSTANCE_INFO);
  if (!link) return INITIALIZATION_FAILED;
  instance_below = link->instance_proc;
  typedef int32_t (*Create)(const Header*, const void*, void**);
  return ((Create)instance_below(0, "vkCreateInstance"))(info, allocator, instance);
}

static int32_t create_device(void* gpu, const Header* info, const void* allocator, void** device) {
  Link* link = next_link(info, LOADER_DEVICE_INFO);
  if (!link) return INITIALIZATION_FAILED;
  device_below = link->device_proc;
  typedef int32_t (*Create)(void*, const Header*, const void*, void**);
  int32_t result = ((Create)link->instance_proc(0, "vkCreateDevice"))(gpu, info, allocator, device);
  if (result != SUCCESS) return result;
  requirements_below = (void (*)(void*, uint64_t, Requirements*))device_below(*device, "vkGetBufferMemoryRequirements");
  requirements2_below = (void (*)(void*, const void*, Requirements2*))device_below(*device, "vkGetBufferMemoryRequirements2");
  return SUCCESS;
}

__attribute__((visibility("default"))) Function null_gpu_device_proc(void* device, const char* name) {
  if (!strcmp(name, "vkGetDeviceProcAddr")) return (Function)null_gpu_device_proc;
  Function own = answer(name);
  return own ? own : device_below(device, name);
}

__attribute__((visibility("default"))) Function null_gpu_instance_proc(void* instance, const char* name) {
  if (!strcmp(name, "vkGetInstanceProcAddr")) return (Function)null_gpu_instance_proc;
  if (!strcmp(name, "vkGetDeviceProcAddr")) return (Function)null_gpu_device_proc;
  if (!strcmp(name, "vkCreateInstance")) return (Function)create_instance;
  if (!strcmp(name, "vkCreateDevice")) return (Function)create_device;
  Function own = answer(name);
  if (own) return own;
  return instance_below ? instance_below(instance, name) : 0;
}
