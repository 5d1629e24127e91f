/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GPUs: what hwloc saw on the PCI bus, what NVIDIA's driver lists in /proc, and the device nodes where neither is shown (some
 * containers). Each bus address counts once. A display controller of a vendor that makes no GPUs for computing (the screen of a
 * server's management, a virtual machine's) is none. */
#include "host/gpus.h"
#include "util/parse-util.h"

#include <dirent.h>
#include <string.h>

#define PCI_CLASS_DISPLAY 0x03U
#define PCI_CLASS_ACCELERATOR 0x12U
#define PCI_SUBCLASS_VGA 0x00U
#define INFORMATION_MAX 65536U

static const struct {
    const char *vendor;
    unsigned pci_id;
} vendors[] = {
    /* in the order in which they are listed: those made for computing first */
    { "nvidia", 0x10de },
    { "amd", 0x1002 },
    { "intel", 0x8086 },
    { "other", 0 },
};

static const char *vendor_name(unsigned pci_id)
{
    size_t i = 0;

    while (vendors[i].pci_id != 0 && vendors[i].pci_id != pci_id)
        i++;
    return vendors[i].vendor;
}

static size_t vendor_rank(const char *vendor)
{
    size_t i = 0;

    while (i < G_N_ELEMENTS(vendors) - 1 && strcmp(vendors[i].vendor, vendor) != 0)
        i++;
    return i;
}

static MachineGpu *find_gpu(GArray *gpus, const char *bus)
{
    for (guint i = 0; i < gpus->len; i++) {
        MachineGpu *gpu = &g_array_index(gpus, MachineGpu, i);
        if (g_ascii_strcasecmp(gpu->bus, bus) == 0)
            return gpu;
    }
    return NULL;
}

/* ---- what hwloc saw ---- */

static bool is_gpu_osdev(hwloc_obj_t osdev)
{
    return osdev->type == HWLOC_OBJ_OS_DEVICE &&
           (osdev->attr->osdev.type == HWLOC_OBJ_OSDEV_GPU || osdev->attr->osdev.type == HWLOC_OBJ_OSDEV_COPROC);
}

static bool is_coprocessor(hwloc_obj_t pci)
{
    for (hwloc_obj_t child = pci->io_first_child; child; child = child->next_sibling)
        if (child->type == HWLOC_OBJ_OS_DEVICE && child->attr->osdev.type == HWLOC_OBJ_OSDEV_COPROC)
            return true;
    return false;
}

static bool is_gpu(hwloc_obj_t pci)
{
    unsigned class_id = pci->attr->pcidev.class_id, class = class_id >> 8, subclass = class_id & 0xff;
    bool known = strcmp(vendor_name(pci->attr->pcidev.vendor_id), "other") != 0;

    if (is_coprocessor(pci))
        return true;
    if (class == PCI_CLASS_ACCELERATOR)
        return known;
    return class == PCI_CLASS_DISPLAY && (known || subclass != PCI_SUBCLASS_VGA);
}

static const char *gpu_name(hwloc_obj_t pci)
{
    for (hwloc_obj_t child = pci->io_first_child; child; child = child->next_sibling) {
        const char *model = is_gpu_osdev(child) ? hwloc_obj_get_info_by_name(child, "GPUModel") : NULL;
        if (model)
            return model;
    }
    const char *device = hwloc_obj_get_info_by_name(pci, "PCIDevice");
    if (device)
        return device;
    return pci->name ? pci->name : "";
}

static char *gpu_device(hwloc_obj_t pci)
{
    for (hwloc_obj_t child = pci->io_first_child; child; child = child->next_sibling)
        if (is_gpu_osdev(child) && child->name && g_str_has_prefix(child->name, "renderD"))
            return g_strconcat("/dev/dri/", child->name, NULL);
    return NULL;
}

/* The node that it is attached to; a bus that belongs to several is near none. */
static int32_t gpu_node(hwloc_topology_t topology, hwloc_obj_t pci, const Machine *machine)
{
    hwloc_obj_t above = hwloc_get_non_io_ancestor_obj(topology, pci);

    if (machine->n_nodes == 0 || !above || !above->nodeset || hwloc_bitmap_weight(above->nodeset) != 1)
        return -1;
    return hwloc_bitmap_first(above->nodeset);
}

static void add_from_pci(GArray *gpus, hwloc_topology_t topology, hwloc_obj_t pci, const Machine *machine)
{
    g_autofree char *bus = g_strdup_printf("%04x:%02x:%02x.%01x", pci->attr->pcidev.domain, pci->attr->pcidev.bus,
                                           pci->attr->pcidev.dev, pci->attr->pcidev.func);

    if (!is_gpu(pci) || find_gpu(gpus, bus))
        return;
    MachineGpu gpu = {
        .vendor = g_strdup(vendor_name(pci->attr->pcidev.vendor_id)),
        .name = format_foreign(gpu_name(pci)),
        .bus = g_steal_pointer(&bus),
        .device = gpu_device(pci),
        .node = gpu_node(topology, pci, machine),
    };
    g_array_append_val(gpus, gpu);
}

/* ---- what NVIDIA's driver tells ---- */

/* "Model: \t\t NVIDIA A100" */
static char *information_value(const char *text, const char *label)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++)
        if (g_str_has_prefix(*line, label))
            return g_strdup(g_strstrip(*line + strlen(label)));
    return NULL;
}

static bool is_bus_address(const char *name)
{
    unsigned domain, bus, device, function;
    int end = 0;

    return sscanf(name, "%x:%x:%x.%x%n", &domain, &bus, &device, &function, &end) == 4 && name[end] == '\0';
}

static void add_from_driver(GArray *gpus, const char *root, const char *bus)
{
    g_autofree char *path = g_strdup_printf("%s/proc/driver/nvidia/gpus/%s/information", root, bus);
    g_autofree char *text = NULL;
    MachineGpu *gpu = find_gpu(gpus, bus);
    uint64_t minor;
    gsize size;

    if (!g_file_get_contents(path, &text, &size, NULL) || size > INFORMATION_MAX)
        g_clear_pointer(&text, g_free);
    g_autofree char *model = text ? information_value(text, "Model:") : NULL;
    g_autofree char *number = text ? information_value(text, "Device Minor:") : NULL;
    if (!gpu) {
        MachineGpu one = { .vendor = g_strdup("nvidia"), .name = g_strdup(""), .bus = g_ascii_strdown(bus, -1), .node = -1 };
        g_array_append_val(gpus, one);
        gpu = &g_array_index(gpus, MachineGpu, gpus->len - 1);
    }
    if (model) {
        g_free(gpu->name);
        gpu->name = format_foreign(model);
    }
    if (number && parse_uint64(number, &minor) == 0) {
        g_free(gpu->device);
        gpu->device = g_strdup_printf("/dev/nvidia%" G_GUINT64_FORMAT, minor);
    }
}

static void ask_driver(GArray *gpus, const char *root)
{
    g_autofree char *path = g_strconcat(root, "/proc/driver/nvidia/gpus", NULL);
    DIR *dir = opendir(path);

    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (is_bus_address(entry->d_name))
            add_from_driver(gpus, root, entry->d_name);
    closedir(dir);
}

static bool has_vendor(const GArray *gpus, const char *vendor)
{
    for (guint i = 0; i < gpus->len; i++)
        if (strcmp(g_array_index(gpus, MachineGpu, i).vendor, vendor) == 0)
            return true;
    return false;
}

static gint compare_numbers(gconstpointer a, gconstpointer b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return (x > y) - (x < y);
}

/* Neither the bus nor the driver's files are shown, but the nodes are: their numbers are all there is. */
static void ask_device_nodes(GArray *gpus, const char *root)
{
    g_autofree char *path = g_strconcat(root, "/dev", NULL);
    g_autoptr(GArray) minors = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    DIR *dir = has_vendor(gpus, "nvidia") ? NULL : opendir(path);
    uint64_t minor;

    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (g_str_has_prefix(entry->d_name, "nvidia") && parse_uint64(entry->d_name + strlen("nvidia"), &minor) == 0)
            g_array_append_val(minors, minor);
    closedir(dir);
    g_array_sort(minors, compare_numbers);
    for (guint i = 0; i < minors->len; i++) {
        MachineGpu gpu = { .vendor = g_strdup("nvidia"), .name = g_strdup(""), .bus = g_strdup(""), .node = -1 };
        gpu.device = g_strdup_printf("/dev/nvidia%" G_GUINT64_FORMAT, g_array_index(minors, uint64_t, i));
        g_array_append_val(gpus, gpu);
    }
}

/* ---- all ---- */

static gint compare_gpus(gconstpointer a, gconstpointer b)
{
    const MachineGpu *x = a, *y = b;
    size_t rank_x = vendor_rank(x->vendor), rank_y = vendor_rank(y->vendor);

    if (rank_x != rank_y)
        return rank_x < rank_y ? -1 : 1;
    return strcmp(x->bus, y->bus); /* fixed width, lower case hexadecimal */
}

static void number_gpus(GArray *gpus)
{
    uint32_t index = 0;

    g_array_sort(gpus, compare_gpus);
    for (guint i = 0; i < gpus->len; i++) {
        MachineGpu *gpu = &g_array_index(gpus, MachineGpu, i);
        bool same = i > 0 && strcmp(gpu->vendor, g_array_index(gpus, MachineGpu, i - 1).vendor) == 0;
        index = same ? index + 1 : 0;
        gpu->index = index;
    }
}

void gpus_read(hwloc_topology_t topology, const char *root, Machine *machine)
{
    GArray *gpus = g_array_new(FALSE, FALSE, sizeof(MachineGpu));
    hwloc_obj_t pci = NULL;

    while ((pci = hwloc_get_next_pcidev(topology, pci)))
        add_from_pci(gpus, topology, pci, machine);
    if (root) {
        ask_driver(gpus, root);
        ask_device_nodes(gpus, root);
    }
    number_gpus(gpus);
    machine->n_gpus = gpus->len;
    machine->gpus = (MachineGpu *) (void *) g_array_free(gpus, gpus->len == 0);
}
