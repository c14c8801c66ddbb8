using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>Marks one symbol-version need of ELF shared libraries as weak, so that a system without that version loads them.</summary>
/// <remarks>
/// The dynamic loader refuses a library whose needs name a version the system lacks, even when no relocation refers to a
/// symbol of that version. With VER_FLG_WEAK set on the vernaux entry it accepts the library; a system that has the version
/// is not affected. The entry is found by parsing the section headers (ELF64 little-endian), never at a fixed offset, and a
/// library with a relocation to a symbol of that version is refused, because weakening would only move the failure to run
/// time. The file is replaced by rename, so that hard links to the package cache keep their bytes. Compiled by MSBuild's
/// inline task factory against netstandard2.0.
/// </remarks>
public sealed class WeakenVersionNeed : Task
{
    private const uint SectionRela = 4;
    private const uint SectionVersionNeeds = 0x6FFFFFFE;
    private const uint SectionVersionSymbols = 0x6FFFFFFF;
    private const ushort FlagWeak = 2;

    /// <summary>The libraries to edit in place; one without a need of that version is left as it is.</summary>
    [Required]
    public ITaskItem[] Libraries { get; set; }

    /// <summary>The version whose need becomes weak, such as GLIBCXX_3.4.32.</summary>
    [Required]
    public string Version { get; set; }

    /// <inheritdoc />
    public override bool Execute()
    {
        foreach (ITaskItem library in Libraries)
        {
            string path = library.GetMetadata("FullPath");
            try
            {
                Weaken(path);
            }
            catch (Exception error) when (error is IOException || error is InvalidDataException || error is ArgumentException || error is IndexOutOfRangeException)
            {
                Log.LogError("{0}: {1}", path, error.Message);
            }
        }

        return !Log.HasLoggedErrors;
    }

    private void Weaken(string path)
    {
        byte[] elf = File.ReadAllBytes(path);
        List<Section> sections = ReadSections(elf);
        bool changed = false;
        foreach (KeyValuePair<int, ushort> need in FindNeeds(elf, sections))
        {
            int uses = CountRelocations(elf, sections, need.Value);
            if (uses > 0)
            {
                throw new InvalidDataException(uses + " relocation(s) refer to symbols of " + Version + "; not changed");
            }

            ushort flags = BitConverter.ToUInt16(elf, need.Key + 4);
            if ((flags & FlagWeak) == 0)
            {
                BitConverter.GetBytes((ushort)(flags | FlagWeak)).CopyTo(elf, need.Key + 4);
                changed = true;
            }
        }

        if (changed)
        {
            string temporary = path + "." + Guid.NewGuid().ToString("N") + ".part";
            File.WriteAllBytes(temporary, elf);
            File.Delete(path);
            File.Move(temporary, path);
            Log.LogMessage(MessageImportance.Normal, "{0}: the need of {1} is weak now", path, Version);
        }
    }

    private static List<Section> ReadSections(byte[] elf)
    {
        if (elf.Length < 64 || elf[0] != 0x7F || elf[1] != 'E' || elf[2] != 'L' || elf[3] != 'F' || elf[4] != 2 || elf[5] != 1)
        {
            throw new InvalidDataException("not an ELF64 little-endian file");
        }

        long table = BitConverter.ToInt64(elf, 0x28);
        int entrySize = BitConverter.ToUInt16(elf, 0x3A);
        int count = BitConverter.ToUInt16(elf, 0x3C);
        List<Section> sections = new List<Section>();
        for (int i = 0; i < count; i++)
        {
            int at = checked((int)(table + ((long)i * entrySize)));
            sections.Add(new Section
            {
                Kind = BitConverter.ToUInt32(elf, at + 4),
                Offset = checked((int)BitConverter.ToInt64(elf, at + 24)),
                Size = checked((int)BitConverter.ToInt64(elf, at + 32)),
                Link = BitConverter.ToInt32(elf, at + 40),
            });
        }

        return sections;
    }

    /// <summary>Offset of each vernaux entry that names the version, with the version's index.</summary>
    private List<KeyValuePair<int, ushort>> FindNeeds(byte[] elf, List<Section> sections)
    {
        List<KeyValuePair<int, ushort>> found = new List<KeyValuePair<int, ushort>>();
        foreach (Section section in sections)
        {
            if (section.Kind != SectionVersionNeeds)
            {
                continue;
            }

            int strings = sections[section.Link].Offset;
            int need = section.Offset;
            int nextNeed;
            do
            {
                int count = BitConverter.ToUInt16(elf, need + 2);
                int entry = need + BitConverter.ToInt32(elf, need + 8);
                nextNeed = BitConverter.ToInt32(elf, need + 12);
                for (int i = 0; i < count; i++)
                {
                    if (ReadString(elf, strings + BitConverter.ToInt32(elf, entry + 8)) == Version)
                    {
                        found.Add(new KeyValuePair<int, ushort>(entry, BitConverter.ToUInt16(elf, entry + 6)));
                    }

                    entry += BitConverter.ToInt32(elf, entry + 12);
                }

                need += nextNeed;
            }
            while (nextNeed != 0);
        }

        return found;
    }

    private static int CountRelocations(byte[] elf, List<Section> sections, ushort versionIndex)
    {
        Section versions = sections.Find(s => s.Kind == SectionVersionSymbols);
        int count = 0;
        foreach (Section section in sections)
        {
            if (section.Kind != SectionRela || section.Link != versions.Link)
            {
                continue;
            }

            for (int entry = section.Offset; entry < section.Offset + section.Size; entry += 24)
            {
                // The high half of r_info is the symbol's number in the dynamic symbol table.
                int symbol = BitConverter.ToInt32(elf, entry + 12);
                if ((BitConverter.ToUInt16(elf, versions.Offset + (2 * symbol)) & 0x7FFF) == versionIndex)
                {
                    count++;
                }
            }
        }

        return count;
    }

    private static string ReadString(byte[] elf, int start)
    {
        int end = Array.IndexOf(elf, (byte)0, start);
        return Encoding.ASCII.GetString(elf, start, end - start);
    }

    private sealed class Section
    {
        public uint Kind;
        public int Offset;
        public int Size;
        public int Link;
    }
}
