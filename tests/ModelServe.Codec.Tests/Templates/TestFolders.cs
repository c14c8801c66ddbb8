namespace ModelServe.Codec.Tests.Templates;

/// <summary>Finds files of the repository, and beside it, from where the tests run.</summary>
internal static class TestFolders
{
    /// <summary>The first folder upward that holds the relative path; the whole path, or null.</summary>
    public static string? FindUpward(params string[] relative)
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string candidate = Path.Combine([folder.FullName, .. relative]);
            if (Path.Exists(candidate))
            {
                return candidate;
            }
        }

        return null;
    }
}
