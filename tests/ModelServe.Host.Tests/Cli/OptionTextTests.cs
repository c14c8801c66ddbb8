using ModelServe.Host.Options;
using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary>What people type as sizes, addresses and model names is read exactly or refused by name.</summary>
public sealed class OptionTextTests
{
    [Theory]
    [InlineData("512MiB", 512L << 20)]
    [InlineData("4GiB", 4L << 30)]
    [InlineData("1.5 GiB", 3L << 29)]
    [InlineData("2GB", 2_000_000_000L)]
    [InlineData("1073741824", 1L << 30)]
    [InlineData("0", 0L)]
    public void A_size_is_read_with_its_unit(string text, long bytes)
    {
        Assert.True(ByteCount.TryParse(text, out long read));
        Assert.Equal(bytes, read);
    }

    [Theory]
    [InlineData("")]
    [InlineData("-1")]
    [InlineData("4XiB")]
    [InlineData("NaN")]
    [InlineData("9999999999TiB")]
    public void A_size_that_is_none_is_refused(string text) => Assert.False(ByteCount.TryParse(text, out _));

    [Theory]
    [InlineData("127.0.0.1:8001", true)]
    [InlineData("localhost:0", true)]
    [InlineData("[::1]:8001", true)]
    [InlineData("0.0.0.0:8001", false)]
    [InlineData("*:8001", false)]
    public void An_address_knows_whether_it_is_loopback(string text, bool loopback)
    {
        Assert.True(ListenAddress.TryParse(text, out ListenAddress? address));
        Assert.Equal(loopback, address!.IsLoopback);
    }

    [Theory]
    [InlineData("8001")]
    [InlineData("127.0.0.1:")]
    [InlineData("127.0.0.1:65536")]
    [InlineData("127.0.0.1:-1")]
    [InlineData("example:80")]
    public void An_address_that_is_none_is_refused(string text) => Assert.False(ListenAddress.TryParse(text, out _));

    [Fact]
    public void A_model_is_named_or_takes_its_folders_name()
    {
        Assert.True(ModelReference.TryParse("chat=/m/Some", out ModelReference? named, out _));
        Assert.Equal(("chat", "/m/Some"), (named!.Name, named.Directory));
        Assert.True(ModelReference.TryParse("/m/Llama-3.2-1B/", out ModelReference? unnamed, out _));
        Assert.Equal("llama-3.2-1b", unnamed!.Name);
    }

    [Theory]
    [InlineData("=dir")]
    [InlineData("Chat=dir")]
    [InlineData("../etc=dir")]
    [InlineData(" ..=dir")]
    [InlineData("a/b=dir")]
    [InlineData("chat=")]
    public void A_name_that_could_be_a_path_is_refused(string text)
    {
        Assert.False(ModelReference.TryParse(text, out _, out string error));
        Assert.Contains("--model", error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_address_beyond_loopback_needs_the_explicit_word()
    {
        Assert.Contains("0.0.0.0:8001", Options("0.0.0.0:8001", allow: false).FirstError()!, StringComparison.Ordinal);
        Assert.Null(Options("0.0.0.0:8001", allow: true).FirstError());
        Assert.Null(Options("127.0.0.1:8001", allow: false).FirstError());
    }

    [Fact]
    public void Two_models_of_one_name_are_refused()
    {
        ServeOptions twice = Options("127.0.0.1:1", allow: false) with { Models = [new ModelReference("a", "x"), new ModelReference("a", "y")] };
        Assert.Contains("'a' twice", twice.FirstError()!, StringComparison.Ordinal);
    }

    private static ServeOptions Options(string grpc, bool allow)
    {
        Assert.True(ListenAddress.TryParse(grpc, out ListenAddress? address));
        Assert.True(ListenAddress.TryParse("127.0.0.1:8000", out ListenAddress? http));
        return new ServeOptions { Models = [new ModelReference("a", "x")], Engine = new EngineSettings(), Grpc = address!, Http = http!, AllowInsecureRemote = allow };
    }
}
