namespace ModelServe.Codec.Templates;

/// <summary>
/// Cuts a template into tokens with trim_blocks and lstrip_blocks on and the trailing newline dropped, as Jinja2 does. The
/// tokens inside tags come from <see cref="TagLexer"/>.
/// </summary>
internal sealed class TemplateLexer
{
    private readonly string _source;
    private readonly List<TemplateToken> _tokens = [];
    private int _position;
    private int _line = 1;
    private int _lineCounted;
    private bool _lineStarting = true;

    private TemplateLexer(string source) => _source = source;

    /// <summary>All tokens, the last of kind <see cref="TokenKind.End"/>.</summary>
    /// <exception cref="UnsupportedFeatureException">The source is not a template; says the line.</exception>
    public static List<TemplateToken> Tokenize(string source)
    {
        string text = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        if (text.EndsWith('\n'))
        {
            text = text[..^1];
        }

        var lexer = new TemplateLexer(text);
        while (lexer._position < text.Length)
        {
            lexer.ReadDataAndTag();
        }

        lexer._tokens.Add(new TemplateToken(TokenKind.End, "", lexer.LineAt(text.Length)));
        return lexer._tokens;
    }

    private int LineAt(int position)
    {
        for (; _lineCounted < position; _lineCounted++)
        {
            if (_source[_lineCounted] == '\n')
            {
                _line++;
            }
        }

        return _line;
    }

    private void ReadDataAndTag()
    {
        int start = FindTag(_position);
        if (start < 0)
        {
            AddData(_position, _source.Length);
            _position = _source.Length;
            return;
        }

        char kind = _source[start + 1];
        int after = start + 2;
        char sign = after < _source.Length && _source[after] is '-' or '+' ? _source[after] : '\0';
        if (sign != '\0')
        {
            after++;
        }

        AddData(_position, StrippedEnd(_position, start, sign, kind == '{'));
        _position = after;
        _lineStarting = false;
        if (kind == '#')
        {
            SkipComment(start);
        }
        else if (kind == '{')
        {
            ReadTag(start, TokenKind.VariableBegin);
        }
        else if (RawBodyStart(after) is int raw and >= 0)
        {
            ReadRaw(start, raw);
        }
        else
        {
            ReadTag(start, TokenKind.BlockBegin);
        }
    }

    private int FindTag(int from)
    {
        while (true)
        {
            int brace = _source.IndexOf('{', from);
            if (brace < 0 || brace + 1 >= _source.Length)
            {
                return -1;
            }

            if (_source[brace + 1] is '{' or '%' or '#')
            {
                return brace;
            }

            from = brace + 1;
        }
    }

    private void AddData(int start, int end)
    {
        if (end > start)
        {
            _tokens.Add(new TemplateToken(TokenKind.Data, _source[start..end], LineAt(start)));
        }
    }

    /// <summary>Where the data before a tag ends: '-' strips all white space, lstrip_blocks the indentation of a tag's own line.</summary>
    private int StrippedEnd(int start, int end, char sign, bool isVariable)
    {
        if (sign == '-')
        {
            while (end > start && TemplateSyntax.IsSpace(_source[end - 1]))
            {
                end--;
            }
        }
        else if (sign != '+' && !isVariable)
        {
            int line = end;
            while (line > start && _source[line - 1] != '\n')
            {
                if (!TemplateSyntax.IsSpace(_source[line - 1]))
                {
                    return end;
                }

                line--;
            }

            if (line > start || _lineStarting)
            {
                return line;
            }
        }

        return end;
    }

    private void SkipComment(int start)
    {
        int end = _source.IndexOf("#}", _position, StringComparison.Ordinal);
        if (end < 0)
        {
            throw TemplateSyntax.Error(LineAt(start), "the comment has no end");
        }

        char sign = end > _position ? _source[end - 1] : '\0';
        _position = end + 2;
        SkipAfterTag(sign, trimNewline: true);
    }

    /// <summary>Eats what a tag's end takes with it: '-' all white space, trim_blocks one newline.</summary>
    private void SkipAfterTag(char sign, bool trimNewline)
    {
        if (sign == '-')
        {
            while (_position < _source.Length && TemplateSyntax.IsSpace(_source[_position]))
            {
                _position++;
            }
        }
        else if (sign != '+' && trimNewline && _position < _source.Length && _source[_position] == '\n')
        {
            _position++;
        }

        _lineStarting = _source[_position - 1] == '\n';
    }

    private int SkipSpace(int position)
    {
        while (position < _source.Length && TemplateSyntax.IsSpace(_source[position]))
        {
            position++;
        }

        return position;
    }

    /// <summary>The position after the name <c>raw</c>'s tag end, or -1 when the tag is another one.</summary>
    private int RawBodyStart(int position)
    {
        position = SkipSpace(position);
        if (string.CompareOrdinal(_source, position, "raw", 0, 3) != 0)
        {
            return -1;
        }

        position = SkipSpace(position + 3);
        if (string.CompareOrdinal(_source, position, "-%}", 0, 3) == 0)
        {
            return SkipSpace(position + 3);
        }

        return string.CompareOrdinal(_source, position, "%}", 0, 2) == 0 ? position + 2 : -1;
    }

    private void ReadRaw(int start, int body)
    {
        _lineStarting = _source[body - 1] == '\n';
        for (int tag = _source.IndexOf("{%", body, StringComparison.Ordinal); tag >= 0;
             tag = _source.IndexOf("{%", tag + 1, StringComparison.Ordinal))
        {
            int at = tag + 2;
            char sign = at < _source.Length && _source[at] is '-' or '+' ? _source[at++] : '\0';
            at = SkipSpace(at);
            if (string.CompareOrdinal(_source, at, "endraw", 0, 6) != 0)
            {
                continue;
            }

            at = SkipSpace(at + 6);
            char endSign = at < _source.Length && _source[at] is '-' or '+' ? _source[at++] : '\0';
            if (string.CompareOrdinal(_source, at, "%}", 0, 2) != 0)
            {
                continue;
            }

            AddData(body, StrippedEnd(body, tag, sign, isVariable: false));
            _position = at + 2;
            SkipAfterTag(endSign, trimNewline: true);
            return;
        }

        throw TemplateSyntax.Error(LineAt(start), "the raw block has no end");
    }

    private void ReadTag(int start, TokenKind begin)
    {
        bool isVariable = begin == TokenKind.VariableBegin;
        _tokens.Add(new TemplateToken(begin, isVariable ? "{{" : "{%", LineAt(start)));
        var tag = new TagLexer(_source, _position, _tokens, LineAt);
        char sign = tag.ReadUntil(isVariable ? "}}" : "%}");
        _position = tag.Position;
        _tokens.Add(new TemplateToken(isVariable ? TokenKind.VariableEnd : TokenKind.BlockEnd, isVariable ? "}}" : "%}",
            LineAt(_position)));
        SkipAfterTag(sign, trimNewline: !isVariable);
    }
}
