using System.Text;
using ModelServe.Host.Serving;
using Xunit;

namespace ModelServe.Host.Tests.Faults;

/// <summary>Lines that cannot be written are counted, and the count is told as soon as a line goes through.</summary>
public sealed class LossyLogTests
{
    [Fact]
    public void Lost_lines_are_counted_and_told_later()
    {
        using FullDisk disk = new();
        using LossyLog log = new(disk);
        log.WriteLine("one");
        disk.IsFull = true;
        log.WriteLine("two");
        log.Write('3');
        log.Flush();
        Assert.Equal(3, log.Lost);
        disk.IsFull = false;
        log.WriteLine("four");
        log.WriteLine("five");
        Assert.Equal(0, log.Lost);
        Assert.Equal("one\nfour\n3 lines of the log were lost before this one\nfive\n", disk.Text.ToString());
    }

    private sealed class FullDisk : TextWriter
    {
        public StringBuilder Text { get; } = new();

        public bool IsFull { get; set; }

        public override Encoding Encoding => Encoding.UTF8;

        public override void Write(char value)
        {
            if (IsFull)
            {
                throw new IOException("no space left on device");
            }

            Text.Append(value);
        }

        public override void Flush()
        {
            if (IsFull)
            {
                throw new IOException("no space left on device");
            }
        }
    }
}
