using System.Text.Json;
using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary>What the program asks of the runtime beside its code.</summary>
public sealed class RuntimeSettingTests
{
    [Fact]
    public void Idle_threads_of_the_pool_sleep_at_once()
    {
        using JsonDocument settings = JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "modelserve.runtimeconfig.json")));
        JsonElement properties = settings.RootElement.GetProperty("runtimeOptions").GetProperty("configProperties");
        Assert.Equal(0, properties.GetProperty("System.Threading.ThreadPool.UnfairSemaphoreSpinLimit").GetInt32());
    }
}
